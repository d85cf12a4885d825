# Debian's cross compiler against a sysroot of Debian's own packages. Used by packaging/cross/build, which sets these:
#   WEIR_TRIPLET   aarch64-linux-gnu, arm-linux-gnueabihf
#   WEIR_SYSROOT   where the libraries of that architecture were extracted
#   WEIR_EMULATOR  qemu-aarch64-static, qemu-arm-static: runs the tests
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES WEIR_TRIPLET WEIR_SYSROOT WEIR_EMULATOR)
set(CMAKE_SYSTEM_NAME Linux)
string(REGEX REPLACE "-.*" "" CMAKE_SYSTEM_PROCESSOR ${WEIR_TRIPLET})
set(CMAKE_C_COMPILER ${WEIR_TRIPLET}-gcc)
set(CMAKE_SYSROOT ${WEIR_SYSROOT})
set(CMAKE_LIBRARY_ARCHITECTURE ${WEIR_TRIPLET})
set(CMAKE_FIND_ROOT_PATH ${WEIR_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${WEIR_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${WEIR_SYSROOT}/usr/lib/${WEIR_TRIPLET}/pkgconfig:${WEIR_SYSROOT}/usr/share/pkgconfig)
set(CMAKE_CROSSCOMPILING_EMULATOR ${WEIR_EMULATOR};-L;${WEIR_SYSROOT})
