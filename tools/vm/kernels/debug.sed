# What is mended in Debian's mm/mmap.c before the debug kernel is built.
#
# 6.1.192 calls hugetlb_split() in __vma_adjust() before it takes the file's rmap lock,
# which hugetlb_split() asserts: a warning for every split of a hugetlb mapping,
# whoever made it. The call is moved to where the lock is held.
/^int __vma_adjust/,/^}/ {
	/if (is_vm_hugetlb_page(orig_vma)) {/,/}/ {
		H
		d
	}
	/i_mmap_lock_write(mapping);/ G
}
