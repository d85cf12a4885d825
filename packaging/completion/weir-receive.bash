# Completion of weir-receive in bash: its options are read from what `weir-receive --help` prints.

_weir_receive() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    case "$before" in
    --format) mapfile -t COMPREPLY < <(compgen -W "json csv line" -- "$word") ;;
    --protocol) mapfile -t COMPREPLY < <(compgen -W "auto 5 3.1.1" -- "$word") ;;
    -c | --ca | --cert | --key | --crl | --*-file | --state | --quarantine)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames 2>/dev/null
        ;;
    *) mapfile -t COMPREPLY < <(compgen -W "-c $(weir-receive --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)" -- "$word") ;;
    esac
}
complete -F _weir_receive weir-receive
