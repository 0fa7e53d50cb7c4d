# Corrects Debian's mm/mmap.c before the debug kernel is built.
#
# In 6.1.192 __vma_adjust() calls hugetlb_split() before it takes the file's rmap lock.
# hugetlb_split() asserts that the lock is held, so each split of any hugetlb mapping warns. The
# call is moved to where the lock is held.
/^int __vma_adjust/,/^}/ {
	/if (is_vm_hugetlb_page(orig_vma)) {/,/}/ {
		H
		d
	}
	/i_mmap_lock_write(mapping);/ G
}
