# What is installed where, and the packages made of it: one for the agent, one for the receiver (packaging/package).
include(GNUInstallDirs)
set(weir_doc ${CMAKE_INSTALL_DATAROOTDIR}/doc)
set(CPACK_PACKAGE_CONTACT "The Weir authors <weir@example.org>")

# -- man pages: made of what `PROGRAM --help` prints, so that they are always true ------------------------------------------------------------

function(weir_man program)
    set(page ${CMAKE_BINARY_DIR}/man/${program}.1)
    set(packed ${page}.gz)
    add_custom_command(OUTPUT ${packed} DEPENDS ${program} ${CMAKE_SOURCE_DIR}/packaging/man/make ${CMAKE_SOURCE_DIR}/packaging/man/${program}.head
                                              ${CMAKE_SOURCE_DIR}/packaging/man/${program}.tail
                       COMMAND ${CMAKE_SOURCE_DIR}/packaging/man/make ${program} ${PROJECT_VERSION} ${page} ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:${program}>
                       COMMAND gzip -9nkf ${page}
                       VERBATIM)
    add_custom_target(man_${program} ALL DEPENDS ${packed})
    install(FILES ${packed} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT ${ARGV1})
endfunction()

# Debian wants a changelog of its own form; what changed stands in CHANGELOG.md, beside it.
function(weir_changelog name component)
    set(text ${CMAKE_BINARY_DIR}/changelog/${name}/changelog)
    file(WRITE ${text} "${name} (${PROJECT_VERSION}) stable; urgency=medium\n\n  * See /usr/share/doc/${name}/CHANGELOG.md.\n\n"
                       " -- ${CPACK_PACKAGE_CONTACT}  Thu, 26 Nov 2026 12:00:00 +0000\n")
    execute_process(COMMAND gzip -9nkf ${text})
    install(FILES ${text}.gz CHANGELOG.md packaging/deb/copyright DESTINATION ${weir_doc}/${name} COMPONENT ${component})
endfunction()

# -- the agent ------------------------------------------------------------------------------------------------------------------------------

weir_man(weir agent)
install(TARGETS weir RUNTIME COMPONENT agent)
install(FILES packaging/systemd/weir.service DESTINATION lib/systemd/system COMPONENT agent)
install(FILES packaging/weir.yaml DESTINATION /etc/weir COMPONENT agent)
install(FILES packaging/rules.d/README DESTINATION /etc/weir/rules.d COMPONENT agent)
install(FILES packaging/completion/weir.bash DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/bash-completion/completions RENAME weir COMPONENT agent)
install(FILES packaging/completion/_weir DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/zsh/vendor-completions COMPONENT agent)
install(FILES README.md DESTINATION ${weir_doc}/weir COMPONENT agent)
weir_changelog(weir agent)
install(DIRECTORY docs/ DESTINATION ${weir_doc}/weir/docs COMPONENT agent)
install(DIRECTORY packaging/configs/ DESTINATION ${weir_doc}/weir/configs COMPONENT agent)
install(DIRECTORY packaging/examples/ DESTINATION ${weir_doc}/weir/examples COMPONENT agent USE_SOURCE_PERMISSIONS)

# -- the receiver ---------------------------------------------------------------------------------------------------------------------------

if(WEIR_RECEIVE)
    weir_man(weir-receive receiver)
    install(TARGETS weir-receive RUNTIME COMPONENT receiver)
    install(FILES packaging/systemd/weir-receive.service DESTINATION lib/systemd/system COMPONENT receiver)
    install(FILES packaging/receive.yaml DESTINATION /etc/weir-receive COMPONENT receiver)
    install(FILES docs/receive.md DESTINATION ${weir_doc}/weir-receive/docs COMPONENT receiver)
    install(FILES packaging/completion/weir-receive.bash DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/bash-completion/completions RENAME weir-receive
            COMPONENT receiver)
    weir_changelog(weir-receive receiver)
endif()

# -- packages ---------------------------------------------------------------------------------------------------------------------------------

set(CPACK_PACKAGE_NAME weir)
set(CPACK_PACKAGE_HOMEPAGE_URL "${WEIR_HOMEPAGE}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL agent)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
if(WEIR_DEB_ARCHITECTURE)
    set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE ${WEIR_DEB_ARCHITECTURE})
endif()

# What a package asks of the scripts in packaging/deb: which directories and files belong to root and the package's own group, whether its service
# is enabled and started at once. dpkg-shlibdeps knows only the libraries of this machine: for another one the package's list is given.
function(weir_package component NAME section GECOS ENABLE DIRECTORIES CONFIG description)
    string(TOUPPER ${component} key)
    string(REPLACE - _ variable WEIR_DEPENDS_${NAME})
    set(CPACK_DEBIAN_${key}_PACKAGE_NAME ${NAME} PARENT_SCOPE)
    set(CPACK_DEBIAN_${key}_PACKAGE_SECTION ${section} PARENT_SCOPE)
    set(CPACK_DEBIAN_${key}_DESCRIPTION ${description} PARENT_SCOPE)
    if(DEFINED ${variable})
        set(CPACK_DEBIAN_${key}_PACKAGE_DEPENDS "${${variable}}" PARENT_SCOPE)
    else()
        set(CPACK_DEBIAN_${key}_PACKAGE_SHLIBDEPS ON PARENT_SCOPE)
        set(CPACK_DEBIAN_${key}_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.54~)" PARENT_SCOPE)
    endif()
    if(ENABLE)
        set(POSTINST_ABOUT "enabled and started by the first installation, restarted by an upgrade.")
        set(ENABLE yes)
    else()
        set(POSTINST_ABOUT "started by whoever has edited its config, restarted by an upgrade where it runs.")
        set(ENABLE no)
    endif()
    set(DIRECTORIES_INNER_FIRST ${DIRECTORIES})
    list(REVERSE DIRECTORIES_INNER_FIRST)
    set(scripts ${CMAKE_BINARY_DIR}/deb/${NAME})
    list(JOIN CONFIG "\n" conffiles)
    file(WRITE ${scripts}/conffiles "${conffiles}\n")
    foreach(list DIRECTORIES DIRECTORIES_INNER_FIRST CONFIG) # as words of a shell
        list(JOIN ${list} " " ${list})
    endforeach()
    foreach(script postinst prerm postrm)
        configure_file(packaging/deb/${script}.in ${scripts}/${script} @ONLY FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
                                                                                              WORLD_READ WORLD_EXECUTE)
    endforeach()
    set(CPACK_DEBIAN_${key}_PACKAGE_CONTROL_EXTRA "${scripts}/postinst;${scripts}/prerm;${scripts}/postrm;${scripts}/conffiles" PARENT_SCOPE)
endfunction()

weir_package(agent weir net "Weir edge agent" ON "/etc/weir;/etc/weir/rules.d" "/etc/weir/weir.yaml;/etc/weir/rules.d/README" "edge agent: alarms, windows, store and forward
Weir runs on a gateway beside the sensors. It takes in their streams, decides
on the spot what is an alarm, condenses the rest into windows, keeps everything
on its own disk while the link is down, and forwards it over MQTT with TLS.")
set(CPACK_DEBIAN_AGENT_PACKAGE_RECOMMENDS tzdata) # time zones of schedules and of recordings

if(WEIR_RECEIVE)
    set(CPACK_COMPONENTS_ALL agent receiver)
    weir_package(receiver weir-receive net "Weir receiver" OFF /etc/weir-receive /etc/weir-receive/receive.yaml "central side of the Weir edge agent
Takes what Weir agents sent to an MQTT broker, and writes each reading once: to
files as JSON, CSV or line protocol, or to PostgreSQL.")
endif()
