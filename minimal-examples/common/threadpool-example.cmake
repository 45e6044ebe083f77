# For the CMakeLists.txt of each example, after its project():
#
#   include(../../common/threadpool-example.cmake)
#   threadpool_example_needs(MODULE PACKAGE)
#   threadpool_example(SOURCE...)
#
# In the tree it links the library that is built beside it; an example on its
# own, the installed one.
#
# SPDX-License-Identifier: MIT

set(THREADPOOL_EXAMPLE_COMMON "${CMAKE_CURRENT_LIST_DIR}")

if(NOT TARGET lws-threadpool::lws-threadpool)
	find_package(lws-threadpool CONFIG REQUIRED)
endif()

# What it uses beside lws, by the name that pkg-config has for it, and Debian's
# package of it.  (Read by scripts/test and scripts/demo, too.)  Without it the
# rest of the tree is built all the same: return() is one of the CMakeLists.txt.
macro(threadpool_example_needs module package)
	find_package(PkgConfig REQUIRED)
	pkg_check_modules(NEEDS_${module} QUIET IMPORTED_TARGET ${module})
	if(NEEDS_${module}_FOUND)
		list(APPEND THREADPOOL_EXAMPLE_LIBRARIES
			PkgConfig::NEEDS_${module})
	elseif(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)
		message(FATAL_ERROR "${module} was not found by pkg-config: "
			"install ${package}")
	else()
		message(STATUS "${PROJECT_NAME} is left out: ${module} was not "
			"found by pkg-config (install ${package})")
		return()
	endif()
endmacro()

# The program PROJECT_NAME; with a page if there is a folder mount-origin.
function(threadpool_example)
	add_executable(${PROJECT_NAME} ${ARGN}
		"${THREADPOOL_EXAMPLE_COMMON}/threadpool-example.c")
	set_target_properties(${PROJECT_NAME} PROPERTIES
		C_STANDARD 11
		C_STANDARD_REQUIRED ON)
	target_compile_definitions(${PROJECT_NAME} PRIVATE
		_GNU_SOURCE
		MOUNT_ORIGIN="${CMAKE_CURRENT_SOURCE_DIR}/mount-origin")
	target_include_directories(${PROJECT_NAME} PRIVATE
		"${THREADPOOL_EXAMPLE_COMMON}")
	target_link_libraries(${PROJECT_NAME} PRIVATE
		lws-threadpool::lws-threadpool ${THREADPOOL_EXAMPLE_LIBRARIES})
	if(TARGET lwstp-warnings)
		target_link_libraries(${PROJECT_NAME} PRIVATE lwstp-warnings)
	endif()
endfunction()
