#!/usr/bin/env python3
"""Checks the house rules that a compiler cannot see. Usage: include_law.py ROOT | include_law.py --self-test

1. The include law: a file includes its own folder or a lower one; core < {rules, store, transport} < agent.
2. Each third-party library has one place.
3. Every header has an include guard, named after its path.
4. No source file of the agent has more than 500 lines.
5. Each folder opens with a README.md.
6. No file contains a path of somebody's machine.

Prints one line for each offence and ends with 1; else 0. The self-test makes a small tree that offends in each way, and expects each line.
"""
import os
import re
import sys
import tempfile

LOWER = {
    "core": set(),
    "rules": {"core"},
    "store": {"core"},
    "transport": {"core"},
    "agent": {"core", "rules", "store", "transport"},
}
RECEIVE = "agent/receive/"  # a program of its own, that the agent goes without
README_FOLDERS = list(LOWER) + ["tests", "packaging", "docs"]
LINES_MAX = 500

# Third-party headers, and the only place of each: a folder or a file.
THIRD_PARTY = [
    (re.compile(r"xxh\w*\.h$"), "core/"),
    (re.compile(r"sqlite3(ext)?\.h$"), "store/"),
    (re.compile(r"(zstd|zdict|zstd_errors)\.h$"), "store/"),
    (re.compile(r"MQTT\w*\.h$"), "transport/"),
    (re.compile(r"(mbedtls|psa)/"), "transport/"),
    (re.compile(r"(c?yaml\.h$|cyaml/)"), "rules/yaml/yaml.c"),
    (re.compile(r"(event2/|event\.h$|evhttp\.h$)"), "agent/"),
    (re.compile(r"(zlib|zconf)\.h$"), "agent/http/gunzip.c"),
    (re.compile(r"(libpq-fe|libpq-events|libpq/.*)(\.h)?$"), "agent/receive/"),
]

# What belongs to the C library and the kernel; everything else in <> needs a line above.
LIBRARY = re.compile(
    r"(assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp|signal|stdalign|stdarg|stdatomic|stdbool|stddef"
    r"|stdint|stdio|stdlib|stdnoreturn|string|tgmath|threads|time|uchar|wchar|wctype|aio|dirent|dlfcn|endian|byteswap|fcntl|fnmatch"
    r"|getopt|glob|grp|ifaddrs|libgen|malloc|netdb|poll|pthread|pwd|sched|semaphore|spawn|strings|sysexits|syslog|termios|unistd"
    r"|utime|wordexp|execinfo|link|cpuid|immintrin|emmintrin|nmmintrin|smmintrin|tmmintrin|x86intrin|arm_neon|arm_acle)\.h$"
    r"|(sys|net|netinet|netpacket|arpa|linux|asm|bits)/")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# In pieces, here and in the tree of the self-test, so that this file does not offend itself.
MACHINE_PATH = re.compile(rb"(?<![\w.$}{)*~-])/(wo" rb"rk|ho" rb"me|Us" rb"ers)/\w")
SKIPPED = {".git", "build", "__pycache__"}


def files(root):
    for where, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIPPED)
        for name in sorted(names):
            path = os.path.join(where, name)
            if name not in SKIPPED and not os.path.islink(path):  # .git is a file in a linked work tree
                yield os.path.relpath(path, root).replace(os.sep, "/")


def check_include(path, kind, header):
    folder = path.split("/")[0]
    if kind == '"':
        target = header.split("/")[0]
        if "/" not in header or ".." in header.split("/"):
            return f'"{header}" is not written from the root'
        if folder == "agent" and header.startswith(RECEIVE) and not path.startswith(RECEIVE):
            return "agent may not include agent/receive"
        if folder in LOWER and target != folder and target not in LOWER[folder]:
            return f"{folder} may not include {target}"
        return None
    if folder not in LOWER:
        return None  # tests may look at everything
    for pattern, place in THIRD_PARTY:
        if pattern.match(header):
            allowed = path == place or (place.endswith("/") and path.startswith(place))
            return None if allowed else f"<{header}> belongs to {place} alone"
    if not LIBRARY.match(header):
        return f"<{header}> is no header of the C library, and no place is known for it"
    return None


def guard_of(path):
    return "WEIR_" + re.sub(r"[^A-Za-z0-9]", "_", path).upper()


def check_guard(path, text):
    directives = re.findall(r"^[ \t]*#[ \t]*(\w+)[ \t]*(\w*)", text, re.M)
    guard = guard_of(path)
    if directives[:2] != [("ifndef", guard), ("define", guard)] or directives[-1][0] != "endif":
        return f"no include guard {guard}"
    return None


def check(root):
    """All offences of the tree, each as `path:line: what`."""
    found = []
    for path in files(root):
        with open(os.path.join(root, path), "rb") as file:
            content = file.read()
        for number, line in enumerate(content.split(b"\n"), 1):
            if MACHINE_PATH.search(line):
                found.append(f"{path}:{number}: a path of somebody's machine")
        if not path.endswith((".c", ".h")):
            continue
        text = content.decode("utf-8", "replace")
        lines = text.splitlines()
        for number, line in enumerate(lines, 1):
            include = INCLUDE.match(line)
            offence = check_include(path, include.group(1), include.group(2)) if include else None
            if offence:
                found.append(f"{path}:{number}: {offence}")
        if path.endswith(".h") and check_guard(path, text):
            found.append(f"{path}:1: {check_guard(path, text)}")
        if path.split("/")[0] in LOWER and len(lines) > LINES_MAX:
            found.append(f"{path}:{len(lines)}: more than {LINES_MAX} lines")
    for folder in README_FOLDERS:
        if not os.path.isfile(os.path.join(root, folder, "README.md")):
            found.append(f"{folder}/README.md:1: is missing")
    return found


def good_tree():
    tree = {f"{folder}/README.md": "text\n" for folder in README_FOLDERS}
    tree["core/x.h"] = "#ifndef WEIR_CORE_X_H\n#define WEIR_CORE_X_H\n#include <stdint.h>\n#endif\n"
    tree["core/x.c"] = '#include "core/x.h"\n\n#include <sys/random.h>\n#include <xxhash.h>\n'
    tree["rules/yaml/yaml.c"] = '#include <yaml.h>\n#include <cyaml/cyaml.h>\n#include "core/x.h"\n'
    tree["store/x.c"] = '#include <sqlite3.h>\n#include <zstd.h>\n#include "core/x.h"\n'
    tree["transport/x.c"] = '#include <MQTTAsync.h>\n#include <mbedtls/ssl.h>\n'
    tree["agent/sources/x.c"] = '#include <event2/event.h>\n#include "store/x.h"\n#include "rules/x.h"\n#include "agent/sources/x.h"\n'
    tree["agent/receive/x.c"] = '#include <libpq-fe.h>\n#include "agent/receive/x.h"\n'
    tree["tests/unit/x_test.c"] = '#include <cmocka.h>\n#include <sqlite3.h>\n#include "agent/x.h"\n'
    tree["agent/long.c"] = "int x;\n" * LINES_MAX
    tree["docs/paths.md"] = "/var/lib/weir ~/" + "work/x $(pwd)/" + "work/x\n"
    return tree


# A change of the good tree (None: the file is taken away), and the line that it must give.
OFFENCES = [
    ({"core/y.c": '#include "rules/x.h"\n'}, "core/y.c:1: core may not include rules"),
    ({"core/y.c": '#include <stdio.h>\n  #  include "agent/x.h"\n'}, "core/y.c:2: core may not include agent"),
    ({"rules/y.c": '#include "store/x.h"\n'}, "rules/y.c:1: rules may not include store"),
    ({"store/y.c": '#include "transport/x.h"\n'}, "store/y.c:1: store may not include transport"),
    ({"transport/y.c": '#include "agent/x.h"\n'}, "transport/y.c:1: transport may not include agent"),
    ({"agent/y.c": '#include "tests/support/x.h"\n'}, "agent/y.c:1: agent may not include tests"),
    ({"core/y.c": '#include "x.h"\n'}, 'core/y.c:1: "x.h" is not written from the root'),
    ({"core/y.c": '#include "core/../agent/x.h"\n'}, 'core/y.c:1: "core/../agent/x.h" is not written from the root'),
    ({"agent/y.c": "#include <sqlite3.h>\n"}, "agent/y.c:1: <sqlite3.h> belongs to store/ alone"),
    ({"core/y.c": "#include <zstd.h>\n"}, "core/y.c:1: <zstd.h> belongs to store/ alone"),
    ({"agent/y.c": "#include <MQTTClient.h>\n"}, "agent/y.c:1: <MQTTClient.h> belongs to transport/ alone"),
    ({"agent/y.c": "#include <mbedtls/x509.h>\n"}, "agent/y.c:1: <mbedtls/x509.h> belongs to transport/ alone"),
    ({"rules/y.c": "#include <yaml.h>\n"}, "rules/y.c:1: <yaml.h> belongs to rules/yaml/yaml.c alone"),
    ({"agent/y.c": "#include <cyaml/cyaml.h>\n"}, "agent/y.c:1: <cyaml/cyaml.h> belongs to rules/yaml/yaml.c alone"),
    ({"store/y.c": "#include <xxhash.h>\n"}, "store/y.c:1: <xxhash.h> belongs to core/ alone"),
    ({"agent/http/y.c": "#include <zlib.h>\n"}, "agent/http/y.c:1: <zlib.h> belongs to agent/http/gunzip.c alone"),
    ({"transport/y.c": "#include <event2/event.h>\n"}, "transport/y.c:1: <event2/event.h> belongs to agent/ alone"),
    ({"agent/y.c": "#include <libpq-fe.h>\n"}, "agent/y.c:1: <libpq-fe.h> belongs to agent/receive/ alone"),
    ({"agent/y.c": '#include "agent/receive/x.h"\n'}, "agent/y.c:1: agent may not include agent/receive"),
    ({"agent/y.c": "#include <curl/curl.h>\n"},
     "agent/y.c:1: <curl/curl.h> is no header of the C library, and no place is known for it"),
    ({"core/y.h": "int x;\n#define Y\n"}, "core/y.h:1: no include guard WEIR_CORE_Y_H"),
    ({"core/y.h": "#ifndef WEIR_Y_H\n#define WEIR_Y_H\n#endif\n"}, "core/y.h:1: no include guard WEIR_CORE_Y_H"),
    ({"core/y.h": ""}, "core/y.h:1: no include guard WEIR_CORE_Y_H"),
    ({"agent/long.c": "int x;\n" * (LINES_MAX + 1)}, "agent/long.c:501: more than 500 lines"),
    ({"store/README.md": None}, "store/README.md:1: is missing"),
    ({"docs/x.md": "\nsee /" + "work/main\n"}, "docs/x.md:2: a path of somebody's machine"),
    ({"packaging/x.sh": 'cd "/' + 'home/ana/weir"\n'}, "packaging/x.sh:1: a path of somebody's machine"),
]


def offences_of(tree):
    with tempfile.TemporaryDirectory() as root:
        for path, text in tree.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        return check(root)


def self_test():
    wrong = []
    if offences_of(good_tree()):
        wrong.append(f"the good tree gave {offences_of(good_tree())}")
    for change, expected in OFFENCES:
        tree = {**good_tree(), **change}
        got = offences_of({path: text for path, text in tree.items() if text is not None})
        if got != [expected]:
            wrong.append(f"expected {expected!r}, got {got}")
    print("\n".join(wrong) if wrong else f"{len(OFFENCES)} offences found, as expected")
    return 1 if wrong else 0


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    if sys.argv[1] == "--self-test":
        return self_test()
    found = check(sys.argv[1])
    print("\n".join(found) if found else "the house is in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
