/* From a character of a scalar's value back to the byte in the file where it stands: through quotes, escapes and folded lines. */
#include <string.h>

#include "rules/diagnostics/lines.h"
#include "rules/yaml/yaml_private.h"

/* A walk over the source of a scalar. */
struct walk {
    const char *text;
    size_t len;
    size_t at;
    enum wr_yaml_style style;
    size_t indent; /* of a block scalar */
};

static bool is_blank(const struct walk *w, size_t at) {
    return at < w->len && (w->text[at] == ' ' || w->text[at] == '\t');
}

static size_t break_at(const struct walk *w, size_t at) {
    return at < w->len ? wr_lines_break(w->text, w->len, at) : 0;
}

/* Behind the breaks that begin at `at` and the white space that belongs to them; their number in *ret_breaks. */
static size_t skip_breaks(const struct walk *w, size_t at, size_t *ret_breaks) {
    size_t n = 0;
    for (size_t bytes; (bytes = break_at(w, at)) > 0; n++) {
        at += bytes;
        if (w->style >= WR_YAML_LITERAL) {
            for (size_t i = 0; i < w->indent && at < w->len && w->text[at] == ' '; i++)
                at++;
        } else {
            while (is_blank(w, at))
                at++;
        }
    }
    *ret_breaks = n;
    return at;
}

/* Bytes of an escape sequence in double quotes. */
static size_t escape_bytes(const struct walk *w) {
    char kind = w->at + 1 < w->len ? w->text[w->at + 1] : '\0';
    return kind == 'x' ? 4 : kind == 'u' ? 6 : kind == 'U' ? 10 : 2;
}

/* Goes over the source of the next characters of the value; returns how many those are (none for an escaped line break). */
static size_t step(struct walk *w) {
    size_t behind_blanks = w->at;
    while (w->style < WR_YAML_LITERAL && is_blank(w, behind_blanks))
        behind_blanks++;
    size_t breaks;
    size_t behind = skip_breaks(w, behind_blanks, &breaks);
    if (breaks > 0) {
        w->at = behind;
        if (w->style == WR_YAML_LITERAL)
            return breaks;
        return breaks == 1 ? 1 : breaks - 1;
    }
    if (w->style == WR_YAML_DOUBLE && w->text[w->at] == '\\') {
        if (break_at(w, w->at + 1) > 0) {
            w->at = skip_breaks(w, w->at + 1, &breaks);
            return breaks - 1;
        }
        w->at += escape_bytes(w);
        return 1;
    }
    if (w->style == WR_YAML_SINGLE && w->text[w->at] == '\'')
        w->at++;
    w->at += wr_lines_character(w->text, w->len, w->at);
    return 1;
}

/* To the first character of a block scalar, and finds its indentation. */
static void enter_block(struct walk *w) {
    while (w->at < w->len && break_at(w, w->at) == 0)
        w->at++;
    w->at += break_at(w, w->at);
    size_t line = w->at;
    for (size_t at = line; at < w->len; at = line) {
        while (at < w->len && w->text[at] == ' ')
            at++;
        w->indent = at - line;
        if (break_at(w, at) == 0)
            break;
        line = at + break_at(w, at); /* an empty line says nothing about the indentation */
    }
    for (size_t i = 0; i < w->indent && w->at < w->len && w->text[w->at] == ' '; i++)
        w->at++;
}

size_t wr_yaml_place_byte(const struct wr_yaml *yaml, const struct wr_yaml_place *place, size_t offset, bool behind) {
    struct walk w = {.text = yaml->text, .len = yaml->text_len, .style = place->style};
    size_t line_len;
    wr_lines_find(w.text, w.len, place->span.line, &w.at, &line_len);
    for (uint32_t column = 1; column < place->span.column && w.at < w.len; column++)
        w.at += wr_lines_character(w.text, w.len, w.at);
    if (w.style == WR_YAML_SINGLE || w.style == WR_YAML_DOUBLE)
        w.at++;
    else if (w.style >= WR_YAML_LITERAL)
        enter_block(&w);
    for (size_t passed = 0; w.at < w.len;) {
        struct walk before = w;
        passed += step(&w);
        if (passed > offset)
            return behind ? w.at : before.at;
    }
    return w.len;
}
