/* SPDX-License-Identifier: GPL-2.0-only */
/* Programs as text, as C, and as numbers. */
#include <inttypes.h>

#include "calls.h"
#include "program.h"

const char *const slot_words[] = { "s0", "s1", "p0", "p1", "x0", "x1" };
const char *const point_words[] = {
	"usual", "buffer", "null", "readonly", "edge", "hole", "kernel"
};

/* Names of regions (those of slots) and of clients, and some that are not valid. */
const char *const name_words[] = {
	"s0", "s1",    "p0",	  "p1",	     "c0",    "c1",	 "c2",
	"c3", "empty", "longest", "endless", "slash", "control", "dirty"
};
const unsigned int nr_name_words = sizeof(name_words) / sizeof(name_words[0]);

#define NAME_EMPTY 8

static int word_index(const char *word, const char *const *words, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(word, words[i]))
			return (int)i;
	return -1;
}

/* The 64 bytes of a name. */
static void name_fill(char name[PEERSHM_NAME_SIZE], uint64_t n)
{
	static const struct {
		const char *word;
		size_t length;
		const char bytes[4];
	} odd[] = { { "slash", 3, "a/b" }, { "control", 3, "a\nb" }, { "dirty", 3, "a\0b" } };
	const char *word = name_words[n < nr_name_words ? n : NAME_EMPTY];

	memset(name, 0, PEERSHM_NAME_SIZE);
	if (n < X0)
		region_name((unsigned int)n, name);
	else if (n < NAME_EMPTY)
		snprintf(name, PEERSHM_NAME_SIZE, "%s", word);
	else if (!strcmp(word, "longest"))
		memset(name, 'n', PEERSHM_NAME_SIZE - 1);
	else if (!strcmp(word, "endless"))
		memset(name, 'n', PEERSHM_NAME_SIZE);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		if (!strcmp(word, odd[i].word))
			memcpy(name, odd[i].bytes, odd[i].length);
}

static bool parse_place(const char *text, struct value *value)
{
	char word[3] = { text[0], text[0] ? text[1] : '\0' };
	int slot = word_index(word, slot_words, NR_SLOTS);
	char *end;

	if (slot < 0)
		return false;
	*value = (struct value){ .unit = PLACE, .slot = (uint8_t)slot };
	text += 2;
	if (!*text)
		return true;
	value->n = strtoull(text, &end, 0);
	if (!*end)
		value->unit = PLACE_BYTE;
	return end > text && (!*end || !strcmp(end, "p"));
}

static bool parse_number(const char *text, struct value *value)
{
	static const char suffixes[] = "phg";
	const char *suffix;
	char *end;

	value->n = strtoull(text, &end, 0);
	if (end == text)
		return false;
	if (!*end)
		return true;
	suffix = strchr(suffixes, *end);
	if (!suffix || end[1])
		return false;
	value->unit = (uint8_t)(PAGES + (suffix - suffixes));
	return true;
}

static bool parse_value(const char *text, struct value *value)
{
	int word;

	memset(value, 0, sizeof(*value));
	if (*text == '@')
		return parse_place(text + 1, value);
	if (*text == '#') {
		word = word_index(text + 1, slot_words, X0);
		value->unit = REGION;
		value->slot = (uint8_t)word;
		return word >= 0;
	}
	if (*text == '%') {
		value->unit = PROCESS;
		value->n = strtoull(text + 1, NULL, 0);
		return true;
	}
	if (parse_number(text, value))
		return true;
	memset(value, 0, sizeof(*value));
	word = word_index(text, point_words, NR_POINTS);
	value->unit = POINT;
	if (word < 0) {
		word = word_index(text, name_words, nr_name_words);
		value->unit = NAME;
	}
	value->n = (uint64_t)word;
	return word >= 0;
}

bool op_parse(const char *line, struct op *op)
{
	char copy[1024];
	char *state, *word;

	memset(op, 0, sizeof(*op));
	snprintf(copy, sizeof(copy), "%s", line);
	word = strtok_r(copy, " \t\r\n", &state);
	if (!word)
		return false;
	while (op->operation < nr_operations && strcmp(operations[op->operation].name, word) != 0)
		op->operation++;
	if (op->operation == nr_operations)
		return false;
	while ((word = strtok_r(NULL, " \t\r\n", &state))) {
		const struct argument *args = operations[op->operation].args;
		char *equals = strchr(word, '=');
		unsigned int i = 0;

		if (!equals)
			return false;
		*equals = '\0';
		while (i < MAX_ARGS && args[i].name && strcmp(args[i].name, word) != 0)
			i++;
		/* an argument that the table has no more, in an old corpus, is ignored */
		if (i < MAX_ARGS && args[i].name && !parse_value(equals + 1, &op->args[i]))
			return false;
	}
	return true;
}

static void print_number(FILE *file, uint64_t n)
{
	if (n < 10000)
		fprintf(file, "%" PRIu64, n);
	else
		fprintf(file, "0x%" PRIx64, n);
}

static void print_value(FILE *file, const struct value *value)
{
	switch (value->unit) {
	case PLACE:
	case PLACE_BYTE:
		fprintf(file, "@%s", slot_words[value->slot % NR_SLOTS]);
		if (!value->n && value->unit == PLACE)
			return;
		fputc('+', file);
		break;
	case REGION:
		fprintf(file, "#%s", slot_words[value->slot % X0]);
		return;
	case PROCESS:
		fputc('%', file);
		break;
	case POINT:
		fputs(point_words[value->n % NR_POINTS], file);
		return;
	case NAME:
		fputs(name_words[value->n % nr_name_words], file);
		return;
	default:
		break;
	}
	print_number(file, value->n);
	if (value->unit == PLACE || value->unit == PAGES)
		fputc('p', file);
	else if (value->unit == HUGE)
		fputc('h', file);
	else if (value->unit == GIGA)
		fputc('g', file);
}

void op_print(FILE *file, const struct op *op)
{
	const struct operation *o = &operations[op->operation];

	fputs(o->name, file);
	for (unsigned int i = 0; i < MAX_ARGS && o->args[i].name; i++) {
		if (op->args[i].unit == NUMBER && !op->args[i].n)
			continue;
		fprintf(file, " %s=", o->args[i].name);
		if (o->args[i].kind == A_MODE && op->args[i].unit == NUMBER)
			fprintf(file, "0%" PRIo64, op->args[i].n);
		else
			print_value(file, &op->args[i]);
	}
}

void program_print(FILE *file, const struct program *program, const char *between)
{
	for (unsigned int i = 0; i < program->nr_ops; i++) {
		fputs(i ? between : "", file);
		op_print(file, &program->ops[i]);
	}
	fputc('\n', file);
}

void program_copy(struct program *to, const struct program *from)
{
	to->nr_ops = from->nr_ops;
	memcpy(to->ops, from->ops, from->nr_ops * sizeof(from->ops[0]));
}

void program_cut(struct program *program, unsigned int at, unsigned int n)
{
	memmove(program->ops + at, program->ops + at + n,
		(program->nr_ops - at - n) * sizeof(program->ops[0]));
	program->nr_ops -= n;
}

static uint64_t value_number(const struct value *value)
{
	unsigned int slot = value->slot % NR_SLOTS;

	switch (value->unit) {
	case PAGES:
		return value->n * page_size();
	case HUGE:
		return value->n << 21;
	case GIGA:
		return value->n << 30;
	case PLACE:
		return self.base[slot] + value->n * page_size();
	case PLACE_BYTE:
		return self.base[slot] + value->n;
	case REGION:
		return self.common->ids[id_index(slot % X0)];
	case PROCESS:
		return pid_of(value->n);
	default:
		return value->n;
	}
}

void op_resolve(const struct op *op, uint64_t args[MAX_ARGS])
{
	static __thread char names[MAX_ARGS][PEERSHM_NAME_SIZE];
	const struct operation *o = &operations[op->operation];

	for (unsigned int i = 0; i < MAX_ARGS; i++) {
		const struct value *value = &op->args[i];

		args[i] = value_number(value);
		if (o->args[i].size == PEERSHM_NAME_SIZE) {
			name_fill(names[i], value->unit == NAME ? value->n : NAME_EMPTY);
			args[i] = (uint64_t)(uintptr_t)names[i];
		}
	}
}

static void print_c_name(FILE *file, const struct value *value)
{
	char name[PEERSHM_NAME_SIZE];

	name_fill(name, value->unit == NAME ? value->n : NAME_EMPTY);
	fputs("{ ", file);
	for (size_t i = 0; i < sizeof(name) && (i < 4 || name[i]); i++)
		fprintf(file, name[i] >= ' ' ? "'%c', " : "%d, ", name[i]);
	fputs("}", file);
}

static void print_c_value(FILE *file, const struct value *value)
{
	const char *slot = slot_words[value->slot % NR_SLOTS];
	char number[32];

	snprintf(number, sizeof(number), value->n < 10000 ? "%" PRIu64 : "0x%" PRIx64 "ULL",
		 value->n);
	switch (value->unit) {
	case PAGES:
		fprintf(file, "%s * page_size()", number);
		break;
	case HUGE:
		fprintf(file, "(uint64_t)%s << 21", number);
		break;
	case GIGA:
		fprintf(file, "(uint64_t)%s << 30", number);
		break;
	case PLACE:
	case PLACE_BYTE:
		fprintf(file, "self.base[%c%c]", slot[0] - 32, slot[1]);
		if (value->n)
			fprintf(file, " + %s%s", number,
				value->unit == PLACE ? " * page_size()" : "");
		break;
	case REGION:
		fprintf(file, "self.common->ids[id_index(%c%c)]", slot[0] - 32, slot[1]);
		break;
	case PROCESS:
		fprintf(file, "pid_of(%s)", number);
		break;
	case POINT:
		fputs("POINT_", file);
		for (const char *at = point_words[value->n % NR_POINTS]; *at; at++)
			fputc(*at - 32, file);
		break;
	default:
		fputs(number, file);
	}
}

static void print_c_command(FILE *file, const struct op *op)
{
	const struct operation *o = &operations[op->operation];
	const char *separator = " ";

	fputs("do_command(", file);
	print_c_value(file, &op->args[ARG_FILE]);
	fprintf(file, ", %s, ", o->symbol);
	for (unsigned int i = ARG_AT; i < NR_COMMAND_ARGS; i++) {
		print_c_value(file, &op->args[i]);
		fputs(", ", file);
	}
	fprintf(file, "&(%s){", o->type);
	for (unsigned int i = NR_COMMAND_ARGS; i < MAX_ARGS && o->args[i].name; i++) {
		if (!op->args[i].n && op->args[i].unit == NUMBER)
			continue;
		fprintf(file, "%s.%s = ", separator, o->args[i].name);
		separator = ", ";
		if (o->args[i].size == PEERSHM_NAME_SIZE) {
			print_c_name(file, &op->args[i]);
		} else if (o->args[i].kind == AN_ARRAY) {
			fputs("array(", file);
			print_c_value(file, &op->args[i]);
			fputs(")", file);
		} else {
			print_c_value(file, &op->args[i]);
		}
	}
	fprintf(file, " }, sizeof(%s));\n", o->type);
}

void program_print_c(FILE *file, const struct program *program, unsigned int process)
{
	uint64_t child = 0;

	self.process = process;
	for (unsigned int i = 0; i < program->nr_ops; i++) {
		const struct op *op = &program->ops[i];
		const struct operation *o = &operations[op->operation];

		fputs(child ? "\t\t" : "\t", file);
		if (o->command) {
			print_c_command(file, op);
		} else if (op_is_fork(op) && !child) {
			fputs("if (!do_fork(", file);
			print_c_value(file, &op->args[0]);
			fputs(")) {\n", file);
			child = op->args[1].n + 1;
		} else {
			fprintf(file, "do_%s(", o->name);
			for (unsigned int j = 0; j < MAX_ARGS && o->args[j].name; j++) {
				fputs(j ? ", " : "", file);
				print_c_value(file, &op->args[j]);
			}
			fputs(");\n", file);
		}
		if (child && (!--child || i + 1 == program->nr_ops)) {
			fputs("\t\t_exit(0);\n\t}\n", file);
			child = 0;
		}
	}
}
