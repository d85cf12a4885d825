# Completion of weir in bash. Commands, options and their values are read from what `weir --help` prints, so that they are those of the
# installed version.

_weir_commands() { weir --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'; }

# Options of a command; the values of one that lists them: `--format influx|json`.
_weir_options() { weir "$1" --help 2>/dev/null | grep -oE -- '(^|[ [])-{1,2}[a-z][a-z-]*' | tr -d ' [' | sort -u; }
_weir_values() { weir "$1" --help 2>/dev/null | grep -oE -- "$2 [a-z0-9]+(\|[a-z0-9.]+)+" | head -n 1 | sed "s/^$2 //" | tr '|' ' '; }

_weir() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_weir_commands) --help --version" -- "$word")
        return
    fi
    case "$before" in
    -c | --config)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames 2>/dev/null
        return
        ;;
    -*)
        local values
        values=$(_weir_values "$command" "$before")
        if [ -n "$values" ]; then
            mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word")
            return
        fi
        ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_weir_options "$command") --help" -- "$word")
        return
    fi
    if [[ $command == alarms || $command == sign ]] && [ "$COMP_CWORD" -eq 2 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_weir_values "$command" "weir $command") $([ "$command" = sign ] && echo bundle)" -- "$word")
        return
    fi
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    compopt -o filenames 2>/dev/null
}
complete -F _weir weir
