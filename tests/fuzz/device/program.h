/* SPDX-License-Identifier: GPL-2.0-only */
/* Programs: sequences of calls, as text and in memory. */
#ifndef PEERSHM_FUZZ_PROGRAM_H
#define PEERSHM_FUZZ_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MAX_OPS 256
#define MAX_ARGS 18

/* How a value is written, and what it stands for. */
enum unit {
	NUMBER,	    /* 17, 0x11 */
	PAGES,	    /* 3p: pages of the system */
	HUGE,	    /* 2h: times 2 MiB */
	GIGA,	    /* 1g: times 1 GiB */
	PLACE,	    /* @s0+3p: an address in the place of a slot, by pages */
	PLACE_BYTE, /* @s0+3: by bytes */
	REGION,	    /* #s0: the id of the region of a slot */
	PROCESS,    /* %1: the PID of a process */
	POINT,	    /* null, readonly, edge: a pointer that is no address in a place */
	NAME,	    /* s0, c1, endless: a name */
};

struct value {
	uint64_t n;
	uint8_t unit;
	uint8_t slot;
};

/* Which values make sense for an argument, or nearly do. */
enum kind {
	NO_KIND,
	A_FILE,
	A_POINT,
	AN_ARRAY,
	A_COUNT,
	A_COOKIE,
	A_STRUCT_SIZE,
	A_TAIL,
	A_FAIL,
	A_FLAGS,
	A_RESERVED,
	A_REGION_NAME,
	A_CLIENT_NAME,
	A_ROOT_NAME,
	A_REGION,
	A_REGION_ID,
	A_PID,
	A_PROCESS,
	A_CAPACITY,
	A_BASE,
	A_LENGTH,
	A_SIZE,
	A_BACKING,
	A_MODE,
	A_TIMEOUT,
	A_RECORD_SIZE,
	AN_ADDRESS,
	A_RANGE,
	A_PROTECTION,
	A_MAP_FLAGS,
	A_MAP_OFFSET,
	A_REMAP_FLAGS,
	AN_ADVICE,
	AN_OPEN_FLAG,
	A_SIGNAL,
	A_COMMAND,
	AN_EVENT_MASK,
	A_SMALL, /* a choice of few */
	A_USER,
	A_TIME,
};

struct argument {
	const char *name;
	enum kind kind;
	size_t offset; /* of a command: of its struct */
	size_t size;
};

/* A line of the table: one call. A command of the device has a number. */
struct operation {
	const char *name;
	unsigned int weight;
	unsigned long command;
	const char *symbol; /* of the command */
	const char *type;   /* of its struct */
	size_t size;
	long (*run)(const uint64_t *args);
	struct argument args[MAX_ARGS];
};

/* The first arguments of a command, before the fields of its struct. */
enum {
	ARG_FILE,
	ARG_AT,
	ARG_SIZE,
	ARG_TAIL,
	ARG_FAIL,
	NR_COMMAND_ARGS
};

extern const struct operation operations[];
extern const unsigned int nr_operations;

struct op {
	uint16_t operation;
	struct value args[MAX_ARGS];
};

struct program {
	unsigned int nr_ops;
	struct op ops[MAX_OPS];
};

/* program.c: the words for names, slots and pointers. */
extern const char *const name_words[];
extern const unsigned int nr_name_words;
extern const char *const slot_words[];
extern const char *const point_words[];

void program_copy(struct program *to, const struct program *from);
void program_cut(struct program *program, unsigned int at, unsigned int n);

/* Read, or print, one line. False if the line is no call. */
bool op_parse(const char *line, struct op *op);
void op_print(FILE *file, const struct op *op);
void program_print(FILE *file, const struct program *program, const char *between);

/* C statements, for a process that includes calls.h. */
void program_print_c(FILE *file, const struct program *program, unsigned int process);

/* The values as numbers. For a name, the address of its 64 bytes. */
void op_resolve(const struct op *op, uint64_t args[MAX_ARGS]);

/* Make the call in this process. Returns what it returned, and leaves its errno. */
long op_run(const struct op *op);
bool op_is_fork(const struct op *op);
bool op_is_uffd(const struct op *op);

/* generate.c */
struct random {
	uint64_t state;
};

uint64_t random_next(struct random *random);
static inline uint64_t random_below(struct random *random, uint64_t n)
{
	return n ? random_next(random) % n : 0;
}

void program_generate(struct random *random, struct program *program);
unsigned int program_head(const struct program *program);
/* The calls of `other` from `from` on, as many as there is room for. */
void program_append(struct program *program, const struct program *other, unsigned int from);
/* Append n random calls. */
void program_extend(struct random *random, struct program *program, unsigned int n);
void program_mutate(struct random *random, struct program *program, const struct program *other);

#endif
