# Turns SQL files into C: cmake -D OUT=folder -P embed.cmake -- a.sql b.sql ...
# writes OUT/sql_embedded.h and OUT/sql_embedded.c with one `const char sql_a[]`,
# NUL-terminated, for each. Characters, not a string literal: the standard
# promises room for 4095 bytes in one only.

set(header "/* Generated from sql/. */\n#ifndef SQL_EMBEDDED_H\n#define SQL_EMBEDDED_H\n\n")
set(source "/* Generated from sql/. */\n#include \"sql_embedded.h\"\n")

set(files_began FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
    set(file "${CMAKE_ARGV${i}}")
    if(NOT files_began)
        if(file STREQUAL "--")
            set(files_began TRUE)
        endif()
        continue()
    endif()
    get_filename_component(name "${file}" NAME_WLE)
    string(MAKE_C_IDENTIFIER "sql_${name}" name)
    file(READ "${file}" bytes HEX)
    if(bytes MATCHES "^(..)*00")
        message(FATAL_ERROR "${file} has a NUL byte")
    endif()
    string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${bytes}")
    string(REPLACE "'\\x0a'," "'\\x0a',\n" bytes "${bytes}")
    string(APPEND header "extern const char ${name}[];\n")
    string(APPEND source "\nconst char ${name}[] = {\n${bytes}\n0};\n")
endforeach()

string(APPEND header "\n#endif\n")
file(WRITE "${OUT}/sql_embedded.h" "${header}")
file(WRITE "${OUT}/sql_embedded.c" "${source}")
