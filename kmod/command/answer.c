// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers that do not fit into a command's own struct: arrays of records, and
 * the result of a peer map for each client.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "command/answer.h"
#include "registry/client.h"
#include "registry/event.h"
#include "window/map.h"
#include "types.h"

#define DEFAULT_TIMEOUT_MS 100

/* Bytes of a record in the first published version. */
#define PEER_LEAST 88

static int check_record(u32 size, u32 least, struct peershm_failure *failure)
{
	if (size < least || size > PAGE_SIZE)
		return peershm_fail(failure, -EINVAL,
				    PEERSHM_REASON_RECORD_SIZE, least);
	return 0;
}

/**
 * peershm_answer_check() - is there an array for records?
 * @to: user address, or 0
 * @n: how many fit; 0: none are wanted
 * @record_size: bytes of one, as the caller knows it
 * @least: bytes of one in the first published version
 * @failure: says why not
 *
 * Returns: 0 or -EINVAL.
 */
int peershm_answer_check(u64 to, u32 n, u32 record_size, u32 least,
			 struct peershm_failure *failure)
{
	if (!n)
		return 0;
	return to ? check_record(record_size, least, failure) : -EINVAL;
}

/**
 * peershm_answer_event_size() - can a reader have records of this size?
 * @size: bytes of one; 0: those of the first published version
 * @failure: says why not
 *
 * Returns: 0 or -EINVAL.
 */
int peershm_answer_event_size(u32 size, struct peershm_failure *failure)
{
	return size ? check_record(size, PEERSHM_EVENT_LEAST, failure) : 0;
}

/**
 * peershm_answer_timeout() - is it a timeout?
 * @timeout_ms: from user space
 * @failure: says why not
 *
 * Returns: 0 or -EINVAL.
 */
int peershm_answer_timeout(s32 timeout_ms, struct peershm_failure *failure)
{
	return timeout_ms >= PEERSHM_TIMEOUT_DEFAULT ?
		       0 : peershm_fail(failure, -EINVAL,
					PEERSHM_REASON_TIMEOUT, 0);
}

/**
 * peershm_answer_array() - copy records to user space
 * @to: user address
 * @record_size: bytes of one there, checked
 * @from: records
 * @n: how many
 * @size: of one here
 */
int peershm_answer_array(u64 to, u32 record_size, const void *from, u32 n,
			 size_t size)
{
	size_t known = min_t(size_t, record_size, size);
	char __user *user = u64_to_user_ptr(to);

	for (; n; n--, user += record_size, from += size)
		if (copy_to_user(user, from, known) ||
		    clear_user(user + known, record_size - known))
			return -EFAULT;
	return 0;
}

/**
 * peershm_answer_begin() - get ready, with everything that can fail
 * @answer: to fill
 * @region: which the caller has a reference to
 * @report: what the caller asked for
 * @failure: says why not
 *
 * Returns: 0, or an error after which peershm_answer_end() is not due.
 */
int peershm_answer_begin(struct peershm_answer *answer,
			 struct peershm_region *region,
			 const struct peershm_map_report *report,
			 struct peershm_failure *failure)
{
	int timeout_ms = report->timeout_ms;
	int err;

	if (report->reserved)
		return -EINVAL;
	err = peershm_answer_timeout(timeout_ms, failure);
	if (!err)
		err = peershm_answer_check(report->peers, report->nr_peers,
					   report->record_size, PEER_LEAST,
					   failure);
	if (err)
		return err;
	if (timeout_ms == PEERSHM_TIMEOUT_DEFAULT)
		timeout_ms = DEFAULT_TIMEOUT_MS;

	answer->max_peers = min(report->nr_peers, region->max_clients);
	answer->peers = NULL;
	err = peershm_map_begin(&answer->call, region, timeout_ms);
	if (err || !answer->max_peers)
		return err;

	answer->peers = kvcalloc(answer->max_peers, sizeof(*answer->peers),
				 GFP_KERNEL_ACCOUNT);
	/* Find out that it cannot be written before anything is done. */
	if (!answer->peers)
		err = -ENOMEM;
	else
		err = peershm_answer_array(report->peers, report->record_size,
					   answer->peers, answer->max_peers,
					   sizeof(*answer->peers));
	if (err)
		peershm_answer_end(answer);
	return err;
}

static void count_result(struct peershm_map_report *report,
			 enum peershm_peer_result result)
{
	switch (result) {
	case PEERSHM_PEER_MAPPED:
		report->mapped++;
		break;
	case PEERSHM_PEER_DEFERRED:
		report->deferred++;
		break;
	case PEERSHM_PEER_GONE:
		report->gone++;
		break;
	case PEERSHM_PEER_PARTIAL:
		report->partial++;
		break;
	}
}

static void describe_peer(struct peershm_peer *peer,
			  const struct peershm_map_job *job)
{
	struct peershm_client *client = job->client;

	peer->client = client->id;
	peer->pid = peershm_client_pid(client);
	peer->result = job->result;
	memcpy(peer->name, client->name, sizeof(peer->name));
	spin_lock(&client->region->registry_lock);
	peer->mapped = client->mapped;
	spin_unlock(&client->region->registry_lock);
}

/**
 * peershm_answer_report() - tell how it went
 * @answer: after peershm_map_peers(), if there was anything to map
 * @report: to fill
 *
 * Returns: 0, or -EFAULT if the caller's memory went away since the beginning.
 */
int peershm_answer_report(struct peershm_answer *answer,
			  struct peershm_map_report *report)
{
	const struct peershm_map_call *call = &answer->call;
	unsigned int i;

	report->mapped = 0;
	report->deferred = 0;
	report->gone = 0;
	report->partial = 0;
	for (i = 0; i < call->nr_jobs; i++) {
		count_result(report, call->jobs[i].result);
		if (i < answer->max_peers)
			describe_peer(&answer->peers[i], &call->jobs[i]);
	}
	report->nr_peers = call->nr_jobs;
	return peershm_answer_array(report->peers, report->record_size,
				    answer->peers,
				    min(call->nr_jobs, answer->max_peers),
				    sizeof(*answer->peers));
}

void peershm_answer_end(struct peershm_answer *answer)
{
	peershm_map_end(&answer->call);
	kvfree(answer->peers);
}
