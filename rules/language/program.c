#include "rules/language/program.h"

#include <math.h>

#include "rules/language/physics.h"

struct emitter {
    struct wr_instruction *code;
    const struct wr_node **parts; /* NULL: not wanted */
    unsigned n;
    unsigned depth;
    unsigned deepest;
};

static void emit(struct emitter *emitter, struct wr_instruction instruction, int push) {
    if (emitter->code)
        emitter->code[emitter->n] = instruction;
    emitter->n++;
    emitter->depth = (unsigned)((int)emitter->depth + push);
    if (emitter->depth > emitter->deepest)
        emitter->deepest = emitter->depth;
}

static void emit_node(struct emitter *emitter, const struct wr_node *node);

/* What was emitted last computes the whole node. */
static void note_part(struct emitter *emitter, const struct wr_node *node) {
    if (emitter->parts)
        emitter->parts[emitter->n - 1] = node;
}

/* A series where a truth value is wanted. */
static void emit_truth(struct emitter *emitter, const struct wr_node *node) {
    emit_node(emitter, node);
    if (node->type == WR_NODE_IS_NUMBER)
        emit(emitter, (struct wr_instruction){.op = WR_OP_TRUTH}, 0);
}

/* A function of values on the stack. */
static void emit_value(struct emitter *emitter, const struct wr_node *node) {
    static const struct {
        enum wr_function_id function;
        enum wr_opcode op;
        int push;
    } values[] = {
        {WR_FUNCTION_ABS, WR_OP_ABS, 0}, {WR_FUNCTION_ROUND, WR_OP_ROUND, 0},        {WR_FUNCTION_CLAMP, WR_OP_CLAMP, -2},
        {WR_FUNCTION_IF, WR_OP_IF, -2},  {WR_FUNCTION_DEWPOINT, WR_OP_DEWPOINT, -1}, {WR_FUNCTION_HEAT_INDEX, WR_OP_HEAT_INDEX, -1}};
    for (const struct wr_node *child = node->child; child; child = child->next)
        if (node->function->id == WR_FUNCTION_IF && child == node->child)
            emit_truth(emitter, child);
        else
            emit_node(emitter, child);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (values[i].function == node->function->id)
            emit(emitter, (struct wr_instruction){.op = (uint8_t)values[i].op, .number = node->argument}, values[i].push);
}

static void emit_vote(struct emitter *emitter, const struct wr_node *node) {
    unsigned m = 0;
    for (const struct wr_node *child = node->child; child; child = child->next, m++)
        emit_truth(emitter, child);
    emit(emitter, (struct wr_instruction){.op = WR_OP_VOTE, .a = (uint16_t)m, .b = (uint8_t)node->number, .number = node->argument},
         1 - (int)m);
}

static void emit_call(struct emitter *emitter, const struct wr_node *node) {
    static const enum wr_opcode loads[] = {[WR_FUNCTION_LAST] = WR_OP_LAST,
                                           [WR_FUNCTION_PREV] = WR_OP_PREV,
                                           [WR_FUNCTION_DELTA] = WR_OP_DELTA,
                                           [WR_FUNCTION_AGE] = WR_OP_AGE,
                                           [WR_FUNCTION_QUALITY] = WR_OP_QUALITY};
    const struct wr_function *function = node->function;
    struct wr_instruction instruction = {.a = (uint16_t)node->operand, .b = (uint8_t)function->id};
    if (node->memory != WR_NODE_NONE) {
        instruction.op = WR_OP_OPERATOR;
        instruction.a = (uint16_t)node->memory;
        instruction.number = node->argument;
    } else if (function->how == WR_HOW_TIME) {
        instruction.op = WR_OP_TIME;
        instruction.zone = node->zone;
    } else if (function->how == WR_HOW_PULSE) {
        instruction.op = WR_OP_PULSE;
    } else if (function->how == WR_HOW_LOAD) {
        instruction.op = (uint8_t)loads[function->id];
        instruction.b = 0;
    } else {
        if (function->how == WR_HOW_VOTE)
            emit_vote(emitter, node);
        else
            emit_value(emitter, node);
        return;
    }
    emit(emitter, instruction, 1);
}

/* One side of a comparison. An age knows what it is compared with: until then the age of a series that never came is not known. */
static void emit_side(struct emitter *emitter, const struct wr_node *side, const struct wr_node *other, bool behind) {
    if (side->kind == WR_NODE_CALL && !side->constant && side->function->id == WR_FUNCTION_AGE)
        emit(emitter, (struct wr_instruction){.op = WR_OP_AGE, .b = behind, .a = (uint16_t)side->operand, .number = other->number}, 1);
    else
        emit_node(emitter, side);
    note_part(emitter, side);
}

static void emit_compare(struct emitter *emitter, const struct wr_node *node) {
    const struct wr_node *left = node->child;
    const struct wr_node *right = left->next;
    if (right->type == WR_NODE_IS_TEXT) {
        emit(emitter, (struct wr_instruction){.op = WR_OP_TEXT_IS, .a = (uint16_t)left->operand, .text = right->text}, 1);
        if (node->comparison == WR_NOT_EQUAL)
            emit(emitter, (struct wr_instruction){.op = WR_OP_NOT}, 0);
        return;
    }
    emit_side(emitter, left, right, node->comparison == WR_GREATER || node->comparison == WR_LESS_EQUAL);
    emit_side(emitter, right, left, node->comparison == WR_LESS || node->comparison == WR_GREATER_EQUAL);
    emit(emitter, (struct wr_instruction){.op = WR_OP_COMPARE, .b = (uint8_t)node->comparison}, -1);
}

static void emit_any(struct emitter *emitter, const struct wr_node *node) {
    if (node->constant) {
        emit(emitter, (struct wr_instruction){.op = WR_OP_NUMBER, .number = node->number}, 1);
        return;
    }
    switch (node->kind) {
    case WR_NODE_SERIES:
    case WR_NODE_CELL:
        emit(emitter, (struct wr_instruction){.op = node->kind == WR_NODE_CELL ? WR_OP_CELL : WR_OP_VALUE, .a = (uint16_t)node->operand},
             1);
        return;
    case WR_NODE_CALL:
        emit_call(emitter, node);
        return;
    case WR_NODE_CONVERT:
        emit_node(emitter, node->child);
        emit(emitter, (struct wr_instruction){.op = WR_OP_CONVERT, .number = node->factor, .addend = node->addend}, 0);
        return;
    case WR_NODE_NEGATE:
        emit_node(emitter, node->child);
        emit(emitter, (struct wr_instruction){.op = WR_OP_NEGATE}, 0);
        return;
    case WR_NODE_NOT:
        emit_truth(emitter, node->child);
        emit(emitter, (struct wr_instruction){.op = WR_OP_NOT}, 0);
        return;
    case WR_NODE_AND:
    case WR_NODE_OR:
        emit_truth(emitter, node->child);
        emit_truth(emitter, node->child->next);
        emit(emitter, (struct wr_instruction){.op = node->kind == WR_NODE_AND ? WR_OP_AND : WR_OP_OR}, -1);
        return;
    case WR_NODE_COMPARE:
        emit_compare(emitter, node);
        return;
    case WR_NODE_RANGE:
        emit_node(emitter, node->child);
        emit_node(emitter, node->child->next);
        emit_node(emitter, node->child->next->next);
        emit(emitter, (struct wr_instruction){.op = WR_OP_RANGE, .b = node->outside}, -2);
        return;
    default:
        emit_node(emitter, node->child);
        emit_node(emitter, node->child->next);
        emit(emitter, (struct wr_instruction){.op = (uint8_t)(WR_OP_ADD + (node->kind - WR_NODE_ADD))}, -1);
        return;
    }
}

static void emit_node(struct emitter *emitter, const struct wr_node *node) {
    emit_any(emitter, node);
    note_part(emitter, node);
}

/* x op limit, x in low..high */
static void find_kernel(struct wr_program *program) {
    const struct wr_instruction *code = program->code;
    unsigned n = program->n;
    if (n < 3 || code[0].op != WR_OP_VALUE || code[1].op != WR_OP_NUMBER)
        return;
    if (n == 3 && code[2].op == WR_OP_COMPARE) {
        program->kernel = WR_KERNEL_COMPARE;
        program->high = code[1].number;
    } else if (n == 4 && code[2].op == WR_OP_NUMBER && code[3].op == WR_OP_RANGE) {
        program->kernel = WR_KERNEL_RANGE;
        program->high = code[2].number;
    } else {
        return;
    }
    program->low = code[1].number;
    program->b = code[n - 1].b;
    program->operand = code[0].a;
}

bool wr_program_compile(const struct wr_node *node, bool truth, struct wr_arena *arena, struct wr_program *ret_program,
                        bool *ret_too_deep) {
    void (*emit_root)(struct emitter *, const struct wr_node *) = truth ? emit_truth : emit_node;
    struct emitter emitter = {0};
    emit_root(&emitter, node);
    *ret_too_deep = emitter.deepest > WR_PROGRAM_STACK;
    if (*ret_too_deep)
        return false;
    struct wr_instruction *code = wr_arena_take(arena, emitter.n * sizeof *code);
    if (!code)
        return false;
    emitter = (struct emitter){.code = code};
    emit_root(&emitter, node);
    *ret_program = (struct wr_program){.code = code, .n = (uint16_t)emitter.n};
    find_kernel(ret_program);
    return true;
}

const struct wr_node **wr_program_parts(const struct wr_node *node, bool truth, const struct wr_program *program, struct wr_arena *arena) {
    struct emitter emitter = {.parts = wr_arena_take(arena, program->n * sizeof *emitter.parts)};
    if (emitter.parts)
        (truth ? emit_truth : emit_node)(&emitter, node);
    return emitter.parts;
}

/* How many values an instruction takes from the stack; each puts one back. */
static unsigned takes(const struct wr_instruction *instruction) {
    switch (instruction->op) {
    case WR_OP_CONVERT:
    case WR_OP_NEGATE:
    case WR_OP_ABS:
    case WR_OP_ROUND:
    case WR_OP_TRUTH:
    case WR_OP_NOT:
        return 1;
    case WR_OP_CLAMP:
    case WR_OP_IF:
    case WR_OP_RANGE:
        return 3;
    case WR_OP_VOTE:
        return instruction->a;
    default:
        return instruction->op < WR_OP_CONVERT ? 0 : 2;
    }
}

struct wr_program wr_program_slice(const struct wr_program *program, uint16_t last) {
    unsigned wanted = 1;
    unsigned first = last + 1u;
    while (wanted > 0 && first > 0)
        wanted += takes(&program->code[--first]) - 1;
    return (struct wr_program){.code = program->code + first, .n = (uint16_t)(last + 1u - first)};
}

double wr_program_compare(enum wr_comparison comparison, double left, double right) {
    if (isnan(left) || isnan(right))
        return NAN;
    switch (comparison) {
    case WR_LESS:
        return left < right;
    case WR_LESS_EQUAL:
        return left <= right;
    case WR_GREATER:
        return left > right;
    case WR_GREATER_EQUAL:
        return left >= right;
    case WR_EQUAL:
        return left <= right && left >= right;
    case WR_NOT_EQUAL:
        return left < right || left > right;
    }
    return NAN;
}

double wr_program_range(bool outside, double value, double low, double high) {
    if (isnan(value) || isnan(low) || isnan(high))
        return NAN;
    return (value >= low && value <= high) != outside;
}

double wr_program_vote(const double *conditions, unsigned m, unsigned needed, unsigned degrade) {
    unsigned yes = 0;
    unsigned unknown = 0;
    for (unsigned i = 0; i < m; i++) {
        unknown += isnan(conditions[i]) ? 1u : 0u;
        yes += conditions[i] > 0 ? 1u : 0u;
    }
    if (yes >= needed)
        return 1;
    if (unknown > 0 && unknown < m && unknown <= degrade)
        return yes >= (needed > unknown ? needed - unknown : 1u);
    return yes + unknown >= needed ? NAN : 0;
}

/* Missing where the ends are missing, or in the wrong order: two cells of a table may be. */
static double clamp(double value, double low, double high) {
    if (isnan(value) || isnan(low) || isnan(high) || low > high)
        return NAN;
    return value < low ? low : value > high ? high : value;
}

static double both(double a, double b) {
    if (a == 0 || b == 0) /* false and unknown is false */
        return 0;
    return isnan(a) || isnan(b) ? NAN : 1;
}

static double either(double a, double b) {
    if (a > 0 || b > 0) /* true or unknown is true */
        return 1;
    return isnan(a) || isnan(b) ? NAN : 0;
}

static double finite_or_missing(double value) {
    return isfinite(value) ? value : NAN;
}

/* One operator on the values at the top of the stack; returns the new top. The compiler of the rule has checked the depth, which an analyzer
 * cannot see. NOLINTBEGIN(clang-analyzer-core.*) */
static double *apply(const struct wr_instruction *instruction, double *top) {
    switch (instruction->op) {
    case WR_OP_CONVERT:
        top[0] = finite_or_missing(top[0] * instruction->number + instruction->addend);
        return top;
    case WR_OP_ADD:
        top[-1] = finite_or_missing(top[-1] + top[0]);
        return top - 1;
    case WR_OP_SUBTRACT:
        top[-1] = finite_or_missing(top[-1] - top[0]);
        return top - 1;
    case WR_OP_MULTIPLY:
        top[-1] = finite_or_missing(top[-1] * top[0]);
        return top - 1;
    case WR_OP_DIVIDE:
        top[-1] = finite_or_missing(top[-1] / top[0]);
        return top - 1;
    case WR_OP_MODULO:
        top[-1] = finite_or_missing(fmod(top[-1], top[0]));
        return top - 1;
    case WR_OP_NEGATE:
        top[0] = -top[0];
        return top;
    case WR_OP_ABS:
        top[0] = fabs(top[0]);
        return top;
    case WR_OP_ROUND:
        top[0] = finite_or_missing(nearbyint(top[0] / instruction->number) * instruction->number);
        return top;
    case WR_OP_CLAMP:
        top[-2] = clamp(top[-2], top[-1], top[0]);
        return top - 2;
    case WR_OP_IF:
        top[-2] = isnan(top[-2]) ? NAN : top[-2] > 0 ? top[-1] : top[0];
        return top - 2;
    case WR_OP_DEWPOINT:
        top[-1] = finite_or_missing(wr_physics_dewpoint(top[-1], top[0]));
        return top - 1;
    case WR_OP_HEAT_INDEX:
        top[-1] = finite_or_missing(wr_physics_heat_index(top[-1], top[0]));
        return top - 1;
    case WR_OP_VOTE:
        top -= instruction->a - 1;
        top[0] = wr_program_vote(top, instruction->a, instruction->b, (unsigned)instruction->number);
        return top;
    case WR_OP_TRUTH:
        top[0] = isnan(top[0]) ? NAN : top[0] < 0 || top[0] > 0;
        return top;
    case WR_OP_NOT:
        top[0] = isnan(top[0]) ? NAN : 1 - top[0];
        return top;
    case WR_OP_AND:
        top[-1] = both(top[-1], top[0]);
        return top - 1;
    case WR_OP_OR:
        top[-1] = either(top[-1], top[0]);
        return top - 1;
    case WR_OP_COMPARE:
        top[-1] = wr_program_compare((enum wr_comparison)instruction->b, top[-1], top[0]);
        return top - 1;
    default: /* WR_OP_RANGE */
        top[-2] = wr_program_range(instruction->b, top[-2], top[-1], top[0]);
        return top - 2;
    }
}
/* NOLINTEND(clang-analyzer-core.*) */

double wr_program_run(const struct wr_program *program, wr_program_load load, void *user) {
    if (program->kernel == WR_KERNEL_COMPARE)
        return wr_program_compare((enum wr_comparison)program->b, load(user, &program->code[0]), program->low);
    if (program->kernel == WR_KERNEL_RANGE)
        return wr_program_range(program->b, load(user, &program->code[0]), program->low, program->high);
    double stack[WR_PROGRAM_STACK + 1];
    double *top = stack;
    *top = NAN;
    for (unsigned i = 0; i < program->n; i++) {
        const struct wr_instruction *instruction = &program->code[i];
        if (instruction->op == WR_OP_NUMBER)
            *++top = instruction->number;
        else if (instruction->op <= WR_OP_TEXT_IS)
            *++top = load(user, instruction);
        else
            top = apply(instruction, top);
    }
    return *top;
}
