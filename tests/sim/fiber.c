/*
 * fiber.c - fibers by ucontext(3), told to the sanitizers that are compiled in.
 *
 * swapcontext() makes a system call for the signal mask at each switch. Where no
 * sanitizer looks on, only the first switch into a fiber is made by it, and all others
 * by _setjmp() and _longjmp(), which leave the mask alone.
 */
/* Its check takes a jump to another stack for a mistake. */
#undef _FORTIFY_SOURCE

#include "tests/sim/fiber.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <ucontext.h>

#include "cdc/base/mem.h"
#include "tests/sim/image.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

enum {
    STACK_BYTES = 256 * 1024,
    FRAME_BYTES = 256 /* more than fiber_give_way() has below its frame's address */
};

struct fiber {
    ucontext_t context;
    jmp_buf jump;
    char *low; /* where it gave way: what stands above on its stack is in use */
    void (*body)(void *arg);
    void *arg;
    void *stack;
    void *tsan;
    void *fake_stack;
};

static ucontext_t main_context;
#if !defined(WITH_ASAN) && !defined(WITH_TSAN)
#define BY_JUMP 1
static jmp_buf main_jump;
#endif
static struct fiber *running;
#ifdef WITH_ASAN
static void *main_fake_stack;
static const void *main_stack;
static size_t main_stack_size;
#endif
#ifdef WITH_TSAN
static void *main_tsan;
#endif

static void fiber_main(void)
{
    struct fiber *self = running;

#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(NULL, &main_stack, &main_stack_size);
#endif
    fiber_give_way(); /* to fiber_new() */
    self->body(self->arg);
    abort();
}

/* Its first steps. */
static void enter(struct fiber *f)
{
#ifdef BY_JUMP
    running = f;
    if (_setjmp(main_jump) == 0)
        swapcontext(&main_context, &f->context);
    running = NULL;
#else
    fiber_run(f);
#endif
}

struct fiber *fiber_new(void (*body)(void *arg), void *arg)
{
    struct fiber *f = mem_zalloc(1, sizeof *f);

    f->body = body;
    f->arg = arg;
    f->stack = mem_alloc(STACK_BYTES);
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&f->context, fiber_main, 0);
#ifdef WITH_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
    enter(f);
    return f;
}

void fiber_free(struct fiber *f)
{
    if (f == NULL)
        return;
#ifdef WITH_TSAN
    __tsan_destroy_fiber(f->tsan);
#endif
    free(f->stack);
    free(f);
}

void fiber_run(struct fiber *f)
{
    running = f;
#ifdef WITH_TSAN
    main_tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(f->tsan, 0);
#endif
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(&main_fake_stack, f->stack, STACK_BYTES);
#endif
#ifdef BY_JUMP
    if (_setjmp(main_jump) == 0)
        _longjmp(f->jump, 1);
#else
    swapcontext(&main_context, &f->context);
#endif
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(main_fake_stack, NULL, NULL);
#endif
    running = NULL;
}

void fiber_give_way(void)
{
    struct fiber *self = running;

#ifdef WITH_TSAN
    __tsan_switch_to_fiber(main_tsan, 0);
#endif
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(&self->fake_stack, main_stack, main_stack_size);
#endif
#ifdef BY_JUMP
    self->low = (char *)__builtin_frame_address(0) - FRAME_BYTES;
    if (_setjmp(self->jump) == 0)
        _longjmp(main_jump, 1);
#else
    swapcontext(&self->context, &main_context);
#endif
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(self->fake_stack, &main_stack, &main_stack_size);
#endif
}

void fiber_part(struct fiber *f, struct image *im)
{
    image_part(im, &f->jump, sizeof f->jump);
    image_part(im, &f->low, sizeof f->low);
    image_part(im, f->low, (size_t)((char *)f->stack + STACK_BYTES - f->low));
}
