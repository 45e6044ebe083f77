# lws-threadpool for Yocto
#
# NOT BUILT: written by Yocto's documents, without a Yocto to try it in.  Say what
# you had to change.
#
# Put it into recipes-support/lws-threadpool/ of a layer of yours, and a tarball of
# the release beside it in files/.  libwebsockets and uthash are in meta-oe.
#
# SPDX-License-Identifier: MIT

SUMMARY = "Thread pool for the connections of libwebsockets"
DESCRIPTION = "The lws_threadpool API of libwebsockets for the packaged \
libwebsockets, which is built without it."
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=85a21736739479ed535aa4b3c2328667"

DEPENDS = "libwebsockets uthash"

SRC_URI = "file://${BP}.tar.gz"

inherit cmake pkgconfig

EXTRA_OECMAKE = " \
    -DLWSTP_TESTS=OFF \
    -DLWSTP_CLIENT=OFF \
    -DLWSTP_EXAMPLES=OFF \
    -DLWSTP_CLUSTER=OFF \
"
