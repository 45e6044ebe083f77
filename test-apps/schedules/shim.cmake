# What shim.c gets in between: see there.
#
# SPDX-License-Identifier: MIT

set(LWSTP_SHIM_WRAPS pthread_mutex_lock pthread_mutex_unlock pthread_cond_wait
	pthread_cond_timedwait pthread_cond_signal pthread_cond_broadcast
	eventfd_write eventfd_read write read lws_callback_on_writable
	lws_cancel_service)
