/* Programs: a checked expression as instructions for a small stack machine over doubles.
 *
 * Truth values are 1, 0 and NaN for unknown (Kleene); a missing number is NaN too, and every arithmetic result that is not finite. So one NaN
 * runs through everything without a special case. The common shapes `x op limit` and `x in low..high` are kernels: no stack, no loop.
 *
 * Threads: none; a program is immutable. Memory: none at run time. Limits: WR_PROGRAM_STACK values deep, checked at load.
 */
#ifndef WEIR_RULES_LANGUAGE_PROGRAM_H
#define WEIR_RULES_LANGUAGE_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/language/arena.h"
#include "rules/language/ast.h"
#include "rules/language/functions.h"

#define WR_PROGRAM_STACK 48

enum wr_opcode {
    WR_OP_NUMBER,  /* push number */
    WR_OP_VALUE,   /* push the value of operand a */
    WR_OP_LAST,    /* the last good value */
    WR_OP_PREV,    /* the good value before that */
    WR_OP_DELTA,   /* value - prev */
    WR_OP_AGE,     /* seconds since the last arrival; compared with number, flips there, or right behind it (b) */
    WR_OP_OPERATOR, /* answer b (enum wr_function_id) of operator a, with number */
    WR_OP_CELL,     /* cell a of the instance */
    WR_OP_QUALITY,  /* of operand a: 2 good, 1 uncertain, 0 bad */
    WR_OP_PULSE,    /* operand a changed at this very sample: b WR_FUNCTION_RISES, FALLS or CHANGED */
    WR_OP_TIME,     /* b: WR_FUNCTION_TIME (seconds since 1970), HOUR (0 to 24, with fractions) or WEEKDAY (1 Monday to 7); zone: where, or NULL for UTC */
    WR_OP_TEXT_IS, /* operand a holds this text */
    WR_OP_CONVERT, /* top * number + addend */
    WR_OP_ADD,
    WR_OP_SUBTRACT,
    WR_OP_MULTIPLY,
    WR_OP_DIVIDE,
    WR_OP_MODULO,
    WR_OP_NEGATE,
    WR_OP_ABS,
    WR_OP_ROUND,      /* to multiples of number */
    WR_OP_CLAMP,      /* value, low, high */
    WR_OP_IF,         /* condition, then, else */
    WR_OP_DEWPOINT,   /* °C and ratio to °C */
    WR_OP_HEAT_INDEX, /* °C and ratio to °C */
    WR_OP_VOTE,       /* a conditions, b of them must be true; number: `degrade`, see wr_program_vote */
    WR_OP_TRUTH, /* not zero */
    WR_OP_NOT,
    WR_OP_AND,
    WR_OP_OR,
    WR_OP_COMPARE, /* b: enum wr_comparison */
    WR_OP_RANGE,   /* b: outside */
};

struct wr_instruction {
    uint8_t op;
    uint8_t b;
    uint16_t a;
    double number;
    union {
        double addend;
        const char *text;
        const struct wr_timezone *zone; /* core/timezone.h; NULL: UTC */
    };
};

enum wr_kernel { WR_KERNEL_NONE, WR_KERNEL_COMPARE, WR_KERNEL_RANGE };

struct wr_program {
    const struct wr_instruction *code;
    uint16_t n;
    uint8_t kernel; /* enum wr_kernel */
    uint8_t b;      /* comparison, or outside */
    uint16_t operand;
    double low; /* the limit of a comparison */
    double high;
};

/* Where values come from: called for WR_OP_VALUE to WR_OP_TEXT_IS; NaN: missing. */
typedef double (*wr_program_load)(void *user, const struct wr_instruction *instruction);

/* Compiles a checked tree; truth: a number stands for "not zero". False: memory, or deeper than the stack (*ret_too_deep). */
bool wr_program_compile(const struct wr_node *node, bool truth, struct wr_arena *arena, struct wr_program *ret_program, bool *ret_too_deep);

/* What each instruction computes, for `weir explain`: list[i] is the node whose value is on top of the stack after instruction i of the program that was
 * compiled from this tree, NULL where that is nothing of its own. NULL: no memory. */
const struct wr_node **wr_program_parts(const struct wr_node *node, bool truth, const struct wr_program *program, struct wr_arena *arena);
/* The part of a program that computes what instruction `last` leaves on the stack. */
struct wr_program wr_program_slice(const struct wr_program *program, uint16_t last);

double wr_program_run(const struct wr_program *program, wr_program_load load, void *user);

/* 1, 0 or NaN. */
double wr_program_compare(enum wr_comparison comparison, double left, double right);
double wr_program_range(bool outside, double value, double low, double high);
/* `needed` of m conditions. True once so many are true. While at most `degrade` of them, but not all, are unknown, so many fewer are needed, never less
 * than one; else unknown while those that are unknown could still make it true. */
double wr_program_vote(const double *conditions, unsigned m, unsigned needed, unsigned degrade);

#endif
