# Libwebsockets with this threadpool compiled in: our sources take the place of
# lib/misc/threadpool/threadpool.c in a copy of a libwebsockets tree, which is
# built and installed.  The tree itself is not changed.
#
#   cmake -DLWS_SOURCE_TREE=DIR -DPREFIX=DIR [-D...] \
#         -P cmake/build-into-lws.cmake
#
#   LWS_SOURCE_TREE  libwebsockets, 4.1 or later
#   PREFIX           where it is installed, with <lws-threadpool.h>
#   KEEP_BUILD       a directory to build in and keep (a temporary one, removed)
#   JOBS             how many compilers at once (as many as processors)
#   UTHASH_DIR       where uthash.h is, if the compiler would not find it
#   CONFIGURE_ONLY   true: nothing is built, KEEP_BUILD has the copy, configured
#
# Every other -D is handed on to libwebsockets' own CMakeLists.txt.
# scripts/build-into-lws is the same for a shell.
#
# SPDX-License-Identifier: MIT

cmake_minimum_required(VERSION 3.16)

get_filename_component(ours "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(temporary)

function(fail)
	if(temporary)
		file(REMOVE_RECURSE "${temporary}")
	endif()
	message(FATAL_ERROR "build-into-lws: " ${ARGN})
endfunction()

function(check result what)
	if(NOT result EQUAL 0)
		fail("${what} libwebsockets failed: ${result}")
	endif()
endfunction()

# --- what is asked for --------------------------------------------------------

# options: each -D that is not for us, ; in a value kept as it is
set(options)
math(EXPR last "${CMAKE_ARGC} - 1")
set(pending)
foreach(n RANGE 1 ${last})
	string(REPLACE ";" "\\;" arg "${pending}${CMAKE_ARGV${n}}")
	set(pending)
	if(arg STREQUAL "-D")
		set(pending -D)
	elseif(arg MATCHES "^-D" AND NOT arg MATCHES
	       "^-D(LWS_SOURCE_TREE|PREFIX|KEEP_BUILD|JOBS|UTHASH_DIR|CONFIGURE_ONLY)[:=]")
		list(APPEND options "${arg}")
	endif()
endforeach()

if(NOT LWS_SOURCE_TREE OR NOT PREFIX)
	fail("-DLWS_SOURCE_TREE=DIR and -DPREFIX=DIR are needed, before -P")
endif()
foreach(dir LWS_SOURCE_TREE PREFIX KEEP_BUILD)
	if(${dir})
		get_filename_component(${dir} "${${dir}}" ABSOLUTE)
	endif()
endforeach()
if(NOT JOBS)
	cmake_host_system_information(RESULT JOBS
		QUERY NUMBER_OF_LOGICAL_CORES)
endif()

foreach(file lib/misc/CMakeLists.txt include/libwebsockets.h)
	if(NOT EXISTS "${LWS_SOURCE_TREE}/${file}")
		fail("${LWS_SOURCE_TREE} is not a libwebsockets source tree: "
			"it has no ${file}")
	endif()
endforeach()
file(STRINGS "${LWS_SOURCE_TREE}/lib/misc/CMakeLists.txt" found
	REGEX "threadpool/threadpool[.]c")
if(NOT found)
	fail("${LWS_SOURCE_TREE} has no threadpool to replace: "
		"is it older than 4.1?")
endif()
find_path(UTHASH_DIR uthash.h PATHS /usr/include /usr/local/include)
if(NOT UTHASH_DIR)
	fail("uthash.h was not found: install uthash-dev")
endif()
file(STRINGS "${UTHASH_DIR}/uthash.h" found REGEX HASH_NONFATAL_OOM)
if(NOT found)
	fail("uthash 2.1 or later is needed: the one in ${UTHASH_DIR} is older")
endif()

# --- the copy -----------------------------------------------------------------

if(KEEP_BUILD)
	set(work "${KEEP_BUILD}")
else()
	set(dir "$ENV{TMPDIR}")
	if(NOT dir)
		set(dir /tmp)
	endif()
	string(RANDOM LENGTH 16 name)
	set(work "${dir}/build-into-lws-${name}")
	set(temporary "${work}")
endif()
set(lws "${work}/lws")
set(dest "${lws}/lib/misc/threadpool")

message("== copying ${LWS_SOURCE_TREE}")
file(REMOVE_RECURSE "${lws}")
file(COPY "${LWS_SOURCE_TREE}/" DESTINATION "${lws}" PATTERN .git EXCLUDE)
file(GLOB sources "${ours}/lib/*.[ch]")
file(COPY ${sources} "${ours}/include/lws-threadpool.h"
	"${UTHASH_DIR}/uthash.h" "${UTHASH_DIR}/utlist.h"
	DESTINATION "${dest}")
file(RENAME "${dest}/amalgamation.c" "${dest}/threadpool.c")

set(defines "#define LWSTP_AMALGAMATION\n")
string(APPEND defines
	"#if defined(LWS_HAVE_EVENTFD) || defined(__linux__)\n"
	"#define LWSTP_HAVE_EVENTFD\n"
	"#endif\n"
	"#if defined(__has_include)\n"
	"#if __has_include(<sys/sdt.h>)\n"
	"#define LWSTP_HAVE_SDT\n"
	"#endif\n"
	"#endif\n")

# Some versions tell their threadpool of every close.
file(STRINGS "${lws}/lib/core-net/close.c" found
	REGEX "lws_threadpool_wsi_closing[(]")
set(hook no)
if(found)
	set(hook yes)
	string(APPEND defines "#define LWSTP_LWS_CLOSE_HOOK\n")
endif()

# None tells anybody that it destroys a secure stream: one line in the copy
# does.
set(ss_source "${lws}/lib/secure-streams/secure-streams.c")
set(ss_begin "\n\th->destroying = 1;\n")
set(ss_hook no)
if(EXISTS "${ss_source}")
	file(READ "${ss_source}" text)
	string(FIND "${text}" "${ss_begin}" first)
	string(FIND "${text}" "${ss_begin}" last REVERSE)
	if(first GREATER_EQUAL 0 AND first EQUAL last)
		string(REPLACE "${ss_begin}" "${ss_begin}\
#if defined(LWS_WITH_THREADPOOL)
	{ void lws_threadpool_ss_destroying(struct lws_ss_handle *); \
lws_threadpool_ss_destroying(h); } /* build-into-lws */
#endif
" text "${text}")
		file(WRITE "${ss_source}" "${text}")
		set(ss_hook yes)
		string(APPEND defines "#define LWSTP_LWS_SS_HOOK\n")
	endif()
endif()
file(WRITE "${dest}/lwstp-amalgamation.h"
	"/* written by build-into-lws */\n${defines}")
message("== this lws tells of a close: ${hook}; of a secure stream's end: "
	"${ss_hook}")

# --- build and install --------------------------------------------------------

# Most versions ask for a CMake that is older than what 4.0 still knows.
set(policy)
if(NOT CMAKE_VERSION VERSION_LESS 4.0)
	set(policy -DCMAKE_POLICY_VERSION_MINIMUM=3.5)
endif()

execute_process(COMMAND "${CMAKE_COMMAND}" -S "${lws}" -B "${work}/build"
	-DCMAKE_BUILD_TYPE=Release
	-DCMAKE_INSTALL_PREFIX=${PREFIX}
	-DLWS_WITH_THREADPOOL=ON
	-DDISABLE_WERROR=ON
	-DLWS_WITHOUT_TESTAPPS=ON
	-DLWS_WITH_MINIMAL_EXAMPLES=OFF
	${policy} ${options} RESULT_VARIABLE result)
check("${result}" "configuring")
if(CONFIGURE_ONLY)
	return()
endif()
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${work}/build"
	--parallel ${JOBS} RESULT_VARIABLE result)
check("${result}" "building")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${work}/build"
	RESULT_VARIABLE result)
check("${result}" "installing")
file(COPY "${ours}/include/lws-threadpool.h"
	DESTINATION "$ENV{DESTDIR}${PREFIX}/include")
if(temporary)
	file(REMOVE_RECURSE "${temporary}")
endif()
message("== installed in ${PREFIX}")
