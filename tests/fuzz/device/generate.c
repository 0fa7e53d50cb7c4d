/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes random programs, and changes programs at random. */
#include "calls.h"
#include "program.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

uint64_t random_next(struct random *random)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return random->state * 0x2545f4914f6cdd1dULL >> 16;
}

static bool one_in(struct random *random, uint64_t n)
{
	return !random_below(random, n);
}

static struct value number(uint64_t n)
{
	return (struct value){ .n = n };
}

static struct value of_unit(enum unit unit, uint64_t n)
{
	return (struct value){ .n = n, .unit = (uint8_t)unit };
}

/* A value that is wrong for most arguments. */
static struct value hostile(struct random *random)
{
	static const uint64_t odd[] = { 1,
					2,
					3,
					7,
					63,
					64,
					255,
					0x7fffffff,
					0x80000000,
					0xffffffff,
					0x100000000,
					0x7ffffffff000,
					0x7fffffffffffffff,
					0x8000000000000000,
					0xfffffffffffff000,
					0xffffffffffffffff };

	if (one_in(random, 4))
		return number(1ULL << random_below(random, 64));
	return number(odd[random_below(random, N(odd))]);
}

static struct value pick(struct random *random, const uint64_t *from, size_t n)
{
	return number(from[random_below(random, n)]);
}

static uint8_t any_slot(struct random *random)
{
	static const uint8_t slots[] = { S0, S0, S0, S1, P0, P0, P1 };

	return slots[random_below(random, N(slots))];
}

static struct value small_length(struct random *random)
{
	static const uint64_t pages[] = { 1, 1, 1, 2, 3, 4, 8, 16, 17, 64, 512, 513 };

	if (one_in(random, 10))
		return of_unit(HUGE, 1 + random_below(random, 3));
	return of_unit(PAGES, pages[random_below(random, N(pages))]);
}

static struct value address(struct random *random)
{
	static const uint64_t pages[] = { 0, 0,	 0,  0,	 1,   1,   2,	 3,
					  4, 15, 16, 63, 511, 512, 1024, 262143 };
	struct value value = of_unit(PLACE, pages[random_below(random, N(pages))]);

	value.slot = one_in(random, 8) ? X0 + (uint8_t)random_below(random, 2) : any_slot(random);
	if (one_in(random, 8)) {
		value.unit = PLACE_BYTE;
		value.n = random_below(random, 8192);
	}
	return value;
}

static struct value value_of(struct random *random, enum kind kind)
{
	static const uint64_t protections[] = { 0, 1, 1, 2, 3, 3, 3, 4, 5, 7 };
	static const uint64_t map_flags[] = { MAP_SHARED,
					      MAP_SHARED,
					      MAP_SHARED,
					      MAP_SHARED,
					      MAP_PRIVATE,
					      MAP_SHARED | MAP_POPULATE,
					      MAP_SHARED | MAP_LOCKED,
					      MAP_SHARED | MAP_NORESERVE,
					      MAP_SHARED | MAP_ANONYMOUS,
					      MAP_PRIVATE | MAP_ANONYMOUS };
	static const uint64_t map_offsets[] = { PEERSHM_HEADER_OFFSET,
						PEERSHM_HEADER_OFFSET,
						PEERSHM_CONTROL_OFFSET,
						PEERSHM_CONTROL_OFFSET,
						0,
						4096,
						PEERSHM_HEADER_OFFSET + 4096,
						PEERSHM_CONTROL_OFFSET + 4096,
						0x300000000ULL };
	static const uint64_t remap_flags[] = { 0, 1, 3, 3, 7, 5 };
	static const uint64_t advices[] = { 0,	1,  2,	3,  4,	4,  8,	9,  10, 11, 12, 13, 14,
					    15, 16, 17, 18, 19, 20, 21, 22, 22, 23, 23, 24, 25 };
	static const uint64_t open_flags[] = { O_RDWR, O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY };
	static const uint64_t modes[] = { 0600, 0666, 0666, 0777, 0644, 0400, 0, 0200, 01777 };
	static const uint64_t timeouts[] = { 0, 0, 1, 1, 2, 60000, (uint32_t)-2, (uint32_t)-3 };
	static const uint64_t backings[] = { PEERSHM_SMALL, PEERSHM_THP, PEERSHM_HUGETLB_2M };
	static const uint64_t records[] = { 0, 0, 80, 88, 88, 112, 112, 128, 176, 176, 4096 };
	static const uint64_t signals[] = { SIGKILL, SIGKILL, SIGSTOP, SIGCONT, SIGUSR1 };
	static const uint64_t users[] = { 0, 0, 1000, 1001 };
	static const uint64_t times[] = { 1, 50, 200, 500, 1000, 3000, 10000 };
	static const uint64_t sizes[] = { 0,  4,   8,	23,  24,  40,	48,  64,
					  96, 112, 136, 240, 272, 4096, 4097 };
	struct value value;

	switch (kind) {
	case NO_KIND:
		return number(0);
	case A_FILE:
		if (one_in(random, 40))
			return number(NR_FILES + random_below(random, 2));
		return number(one_in(random, 3) ? random_below(random, 3) : 0);
	case A_POINT:
		if (!one_in(random, 12))
			return number(0);
		return one_in(random, 3) ? address(random) :
					   of_unit(POINT, random_below(random, NR_POINTS));
	case AN_ARRAY:
		if (one_in(random, 2))
			return number(0);
		if (one_in(random, 2))
			return of_unit(POINT, POINT_BUFFER);
		return one_in(random, 3) ? address(random) :
					   of_unit(POINT, random_below(random, NR_POINTS));
	case A_COUNT:
		return one_in(random, 20) ? hostile(random) : number(random_below(random, 9));
	case A_COOKIE: /* of one of the first announcements */
		return number(one_in(random, 3) ? 1 + random_below(random, 4) : 0);
	case A_STRUCT_SIZE:
		if (!one_in(random, 12))
			return number(0);
		return one_in(random, 8) ? hostile(random) : pick(random, sizes, N(sizes));
	case A_TAIL:
		return number(one_in(random, 12));
	case A_FAIL:
		if (!one_in(random, 12))
			return number(0);
		return number(1 + random_below(random, one_in(random, 3) ? 100 : 16));
	case A_FLAGS:
		if (one_in(random, 3))
			return number(random_below(random, 5));
		return one_in(random, 30) ? hostile(random) : number(0);
	case A_RESERVED:
		return one_in(random, 20) ? number(1) : number(0);
	case A_REGION_NAME:
		if (one_in(random, 12))
			return of_unit(NAME, random_below(random, nr_name_words));
		return of_unit(NAME, any_slot(random));
	case A_CLIENT_NAME:
		if (one_in(random, 5))
			return one_in(random, 2) ?
				       number(0) :
				       of_unit(NAME, random_below(random, nr_name_words));
		return of_unit(NAME, X0 + random_below(random, 4));
	case A_ROOT_NAME:
		if (one_in(random, 2))
			return number(0);
		return of_unit(NAME, random_below(random, nr_name_words));
	case A_TIME:
		return pick(random, times, N(times));
	case A_REGION_ID:
		value = of_unit(REGION, 0);
		value.slot = any_slot(random);
		return value;
	case A_REGION:
		value = of_unit(REGION, 0);
		value.slot = any_slot(random);
		if (one_in(random, 3))
			return value;
		/* no id that a region of another process may have */
		return number(one_in(random, 20) ? random_next(random) | 1ULL << 31 : 0);
	case A_PID:
		if (one_in(random, 2))
			return of_unit(PROCESS, random_below(random, NR_PROCESSES));
		return one_in(random, 6) ? hostile(random) : number(0);
	case A_PROCESS:
		return number(random_below(random, NR_PROCESSES));
	case A_CAPACITY:
		if (one_in(random, 20))
			return hostile(random);
		return one_in(random, 3) ? of_unit(PAGES, 1 + random_below(random, 2048)) :
					   of_unit(GIGA, 1 + one_in(random, 5));
	case A_BASE:
		if (one_in(random, 20))
			return one_in(random, 2) ? hostile(random) : address(random);
		value = of_unit(PLACE, 0);
		value.slot = any_slot(random);
		return one_in(random, 6) ? number(0) : value;
	case A_LENGTH:
		if (one_in(random, 12))
			return number(0);
		return one_in(random, 20) ? hostile(random) : small_length(random);
	case A_SIZE:
		if (one_in(random, 3))
			return number(0);
		return one_in(random, 20) ? hostile(random) : small_length(random);
	case A_BACKING:
		if (one_in(random, 100))
			return one_in(random, 2) ? number(PEERSHM_HUGETLB_1G) : hostile(random);
		return one_in(random, 4) ? pick(random, backings, N(backings)) : number(0);
	case A_MODE:
		return pick(random, modes, N(modes));
	case A_RECORD_SIZE:
		return one_in(random, 20) ? hostile(random) : pick(random, records, N(records));
	case A_TIMEOUT:
		return pick(random, timeouts, N(timeouts));
	case AN_ADDRESS:
		if (one_in(random, 8))
			return one_in(random, 4) ? hostile(random) : number(0);
		return address(random);
	case A_RANGE:
		if (one_in(random, 20))
			return one_in(random, 2) ? hostile(random) : number(0);
		return one_in(random, 5) ? of_unit(GIGA, 1) : small_length(random);
	case A_PROTECTION:
		return pick(random, protections, N(protections));
	case A_MAP_FLAGS:
		return pick(random, map_flags, N(map_flags));
	case A_MAP_OFFSET:
		return pick(random, map_offsets, N(map_offsets));
	case A_REMAP_FLAGS:
		return pick(random, remap_flags, N(remap_flags));
	case AN_ADVICE:
		if (one_in(random, 500))
			return number(100 + random_below(random, 2));
		return pick(random, advices, N(advices));
	case AN_OPEN_FLAG:
		value = pick(random, open_flags, N(open_flags));
		value.n |= one_in(random, 50) ? 0 : O_NONBLOCK;
		return value;
	case A_SIGNAL:
		return pick(random, signals, N(signals));
	case A_COMMAND:
		return number(0xbc00 + random_below(random, 64) +
			      (one_in(random, 4) ? 0xc0040000 : 0));
	case AN_EVENT_MASK:
		return number(random_below(random, 64));
	case A_SMALL:
		return one_in(random, 30) ? hostile(random) : number(random_below(random, 8));
	case A_USER:
		return pick(random, users, N(users));
	}
	return number(0);
}

static unsigned int any_operation(struct random *random)
{
	static unsigned int total;
	unsigned int i, left;

	if (!total)
		for (i = 0; i < nr_operations; i++)
			total += operations[i].weight;
	left = (unsigned int)random_below(random, total);
	for (i = 0; left >= operations[i].weight; i++)
		left -= operations[i].weight;
	return i;
}

static void make_op(struct random *random, struct op *op)
{
	const struct operation *o;

	memset(op, 0, sizeof(*op));
	op->operation = (uint16_t)any_operation(random);
	o = &operations[op->operation];
	for (unsigned int i = 0; i < MAX_ARGS && o->args[i].name; i++)
		op->args[i] = value_of(random, o->args[i].kind);
}

static void add_line(struct program *program, const char *line)
{
	if (program->nr_ops < MAX_OPS && op_parse(line, &program->ops[program->nr_ops]))
		program->nr_ops++;
}

/* Most programs begin like a client, or few of the calls that follow could succeed. */
static void begin(struct random *random, struct program *program)
{
	static const char *const backings[] = { "0", "0", "0", "0", "0", "0", "1", "5378", "7682" };
	static const char *const regions[] = { "s0", "s0", "s0", "s1", "p0", "p0", "p1" };
	const char *region = regions[random_below(random, N(regions))];
	const char *backing = backings[random_below(random, one_in(random, 50) ? 9 : 8)];
	char line[256];

	add_line(program, "open flags=2050");
	snprintf(line, sizeof(line),
		 "create name=%s capacity=1g base=@%s backing=%s mode=%s max_clients=8", region,
		 region, backing, one_in(random, 3) ? "0600" : "0666");
	add_line(program, line);
	snprintf(line, sizeof(line), "attach region_name=%s client_name=c%u flags=%u", region,
		 (unsigned int)random_below(random, 4), one_in(random, 6) ? 1U : 0U);
	add_line(program, line);
	snprintf(line, sizeof(line), "grow flags=1 length=%s",
		 *backing == '0' ? "16p" :
		 *backing == '7' ? "1g" :
				   "2h");
	if (!one_in(random, 4))
		add_line(program, line);
}

void program_generate(struct random *random, struct program *program)
{
	program->nr_ops = 0;
	if (!one_in(random, 5))
		begin(random, program);
	program_extend(random, program, 1 + (unsigned int)random_below(random, MAX_OPS - 4));
}

void program_extend(struct random *random, struct program *program, unsigned int n)
{
	while (n-- && program->nr_ops < MAX_OPS)
		make_op(random, &program->ops[program->nr_ops++]);
}

static void change_op(struct random *random, struct op *op)
{
	const struct operation *o = &operations[op->operation];
	unsigned int n = 0;
	unsigned int i;

	while (n < MAX_ARGS && o->args[n].name)
		n++;
	if (!n)
		return;
	i = (unsigned int)random_below(random, n);
	if (one_in(random, 20))
		op->args[i] = hostile(random);
	else if (one_in(random, 5) && op->args[i].unit <= PLACE_BYTE)
		op->args[i].n += one_in(random, 2) ? 1 : (uint64_t)-1;
	else
		op->args[i] = value_of(random, o->args[i].kind);
}

static void insert_op(struct random *random, struct program *program)
{
	unsigned int at = (unsigned int)random_below(random, program->nr_ops + 1);

	if (program->nr_ops == MAX_OPS)
		return;
	memmove(program->ops + at + 1, program->ops + at,
		(program->nr_ops - at) * sizeof(program->ops[0]));
	make_op(random, &program->ops[at]);
	program->nr_ops++;
}

/* How many calls it begins with that only make a region and a client. */
unsigned int program_head(const struct program *program)
{
	unsigned int n = 0;

	for (; n < program->nr_ops; n++) {
		const struct operation *o = &operations[program->ops[n].operation];

		if (o->command != PEERSHM_IOC_CREATE && o->command != PEERSHM_IOC_ATTACH &&
		    o->command != PEERSHM_IOC_GROW && strcmp(o->name, "open") != 0)
			break;
	}
	return n;
}

void program_append(struct program *program, const struct program *other, unsigned int from)
{
	unsigned int n = other->nr_ops - from;

	if (n > MAX_OPS - program->nr_ops)
		n = MAX_OPS - program->nr_ops;
	memcpy(program->ops + program->nr_ops, other->ops + from, n * sizeof(program->ops[0]));
	program->nr_ops += n;
}

/* The end of another program behind the beginning of this one. */
static void cross(struct random *random, struct program *program, const struct program *other)
{
	program->nr_ops = (unsigned int)random_below(random, program->nr_ops + 1);
	program_append(program, other, (unsigned int)random_below(random, other->nr_ops + 1));
}

void program_mutate(struct random *random, struct program *program, const struct program *other)
{
	unsigned int times = 1 + (unsigned int)random_below(random, 16);

	while (times--) {
		switch (random_below(random, 10)) {
		case 0:
			if (program->nr_ops > 1)
				program_cut(program,
					    (unsigned int)random_below(random, program->nr_ops), 1);
			break;
		case 1:
			cross(random, program, other);
			break;
		case 2:
		case 3:
		case 4:
		case 5:
			insert_op(random, program);
			break;
		default:
			if (program->nr_ops)
				change_op(random,
					  &program->ops[random_below(random, program->nr_ops)]);
		}
	}
	if (!program->nr_ops)
		insert_op(random, program);
}
