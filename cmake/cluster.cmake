# liblws-threadpool-cluster, which stands on the public API of the base and on
# libnats.  The base never knows of it.
#
# SPDX-License-Identifier: MIT

set(LWSTP_WITH_CLUSTER OFF)
if(LWSTP_CLUSTER STREQUAL "OFF" OR NOT LWSTP_CLUSTER)
	return()
endif()

find_package(PkgConfig REQUIRED)
pkg_check_modules(LWSTP_NATS IMPORTED_TARGET libnats>=3.4)
add_library(lwstp-nats INTERFACE)
if(LWSTP_NATS_FOUND)
	target_link_libraries(lwstp-nats INTERFACE PkgConfig::LWSTP_NATS)
else()
	find_library(LWSTP_NATS_LIBRARY nats)
	find_path(LWSTP_NATS_INCLUDE nats/nats.h)
	if(NOT LWSTP_NATS_LIBRARY OR NOT LWSTP_NATS_INCLUDE)
		if(LWSTP_CLUSTER STREQUAL "AUTO")
			message(STATUS "no libnats here: no "
				"liblws-threadpool-cluster")
			return()
		endif()
		message(FATAL_ERROR "LWSTP_CLUSTER is ON, but libnats was not "
			"found: install libnats-dev")
	endif()
	target_link_libraries(lwstp-nats INTERFACE ${LWSTP_NATS_LIBRARY})
	target_include_directories(lwstp-nats SYSTEM INTERFACE
		${LWSTP_NATS_INCLUDE})
endif()
add_library(lws-threadpool::nats INTERFACE IMPORTED)
set_target_properties(lws-threadpool::nats PROPERTIES
	INTERFACE_LINK_LIBRARIES lwstp-nats)
set(LWSTP_WITH_CLUSTER ON)

# bottom up: each uses only those above it
set(LWSTP_CLUSTER_SOURCES
	wire.c nats-options.c log.c send.c queue.c engine.c base.c wrong.c job.c
	tell.c owner.c front.c proxy.c enqueue.c ring.c pull.c work.c run.c
	take.c control.c calls.c tick.c stats.c kind.c cluster.c)
list(TRANSFORM LWSTP_CLUSTER_SOURCES PREPEND lib/cluster/)

add_library(lwstp-cluster-objects OBJECT ${LWSTP_CLUSTER_SOURCES})
set_target_properties(lwstp-cluster-objects PROPERTIES
	POSITION_INDEPENDENT_CODE ON
	C_EXTENSIONS OFF
	C_VISIBILITY_PRESET hidden)
target_compile_definitions(lwstp-cluster-objects PRIVATE _GNU_SOURCE)
target_include_directories(lwstp-cluster-objects SYSTEM PRIVATE
	${LWSTP_UTHASH_COPY})
target_include_directories(lwstp-cluster-objects PUBLIC
	$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
target_link_libraries(lwstp-cluster-objects
	PUBLIC lws-threadpool::libwebsockets Threads::Threads
	PRIVATE lwstp-nats $<BUILD_INTERFACE:lwstp-warnings>)

set(LWSTP_CLUSTER_TARGETS)
function(lwstp_cluster_library target kind alias base)
	add_library(${target} ${kind}
		$<TARGET_OBJECTS:lwstp-cluster-objects>)
	set_target_properties(${target} PROPERTIES
		OUTPUT_NAME lws-threadpool-cluster
		EXPORT_NAME ${alias}
		VERSION ${PROJECT_VERSION}
		SOVERSION ${PROJECT_VERSION_MAJOR}
		LINKER_LANGUAGE C)
	target_include_directories(${target} PUBLIC
		$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
		$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
	target_link_libraries(${target} PUBLIC ${base} Threads::Threads
		PRIVATE lws-threadpool::nats)
	add_library(lws-threadpool::${alias} ALIAS ${target})
	if(LWSTP_INSTALL)
		install(TARGETS ${target}
			EXPORT lws-threadpool-cluster-targets
			LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
			ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
	endif()
endfunction()

if(LWSTP_SHARED)
	lwstp_cluster_library(lws-threadpool-cluster SHARED cluster
		lws-threadpool)
	target_link_options(lws-threadpool-cluster PRIVATE
		-Wl,--version-script=${PROJECT_SOURCE_DIR}/lib/cluster/cluster.map)
	set_target_properties(lws-threadpool-cluster PROPERTIES
		LINK_DEPENDS ${PROJECT_SOURCE_DIR}/lib/cluster/cluster.map)
	if(LWSTP_STATIC)
		lwstp_cluster_library(lws-threadpool-cluster-static STATIC
			cluster-static lws-threadpool-static)
	endif()
else()
	lwstp_cluster_library(lws-threadpool-cluster STATIC cluster
		lws-threadpool)
	add_library(lws-threadpool::cluster-static ALIAS
		lws-threadpool-cluster)
endif()
