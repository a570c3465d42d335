// ipc/sanitized.h: whether a sanitizer watches, which has signals and system calls of its own.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REEVE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REEVE_SANITIZED 1
#endif
#endif
#ifndef REEVE_SANITIZED
#define REEVE_SANITIZED 0
#endif
