# The rows `| W300 | what it says | what to do |` of docs/diagnostics.md as a table in C: rules/diagnostics/diagnostic_codes.h.
# Usage: awk -f diagnostic_codes.awk docs/diagnostics.md > diagnostic_codes.c

function plain(text,    begin, label) { # a link as its text, without blanks around, as the inside of a C string
    while (match(text, /\[[^]]*\]\([^)]*\)/)) {
        label = substr(text, RSTART + 1, RLENGTH - 1)
        sub(/\].*/, "", label)
        text = substr(text, 1, RSTART - 1) label substr(text, RSTART + RLENGTH)
    }
    gsub(/^ +| +$/, "", text)
    gsub(/\\/, "\\\\", text)
    gsub(/"/, "\\\"", text)
    return text
}

function slug(text) { # the anchor that a heading gets
    text = tolower(text)
    gsub(/[^a-z0-9 _-]/, "", text)
    gsub(/ /, "-", text)
    return text
}

BEGIN {
    print "/* Made by rules/diagnostics/diagnostic_codes.awk from docs/diagnostics.md. */"
    print "#include \"rules/diagnostics/diagnostic_codes.h\"\n"
    print "const struct wr_diagnostic_code wr_diagnostic_codes[] = {"
}

/^## / { section = plain(substr($0, 4)) }

/^\| *W[0-9][0-9][0-9]/ {
    cells = split($0, cell, "|")
    codes = split(cell[2], code, ",")
    for (i = 1; i <= codes; i++) {
        gsub(/[^0-9]/, "", code[i])
        printf "    {%d, \"%s\", \"%s\", \"%s\", \"%s\"},\n", code[i], plain(cell[3]), (cells > 4 ? plain(cell[4]) : ""), section, slug(section)
        n++
    }
}

END {
    print "};"
    printf "const size_t wr_diagnostic_codes_n = %d;\n", n
}
