#include "cdc/db/target.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

struct db_target {
    const struct config_server *server;
    pthread_mutex_t lock;
    size_t address;
    _Atomic uint64_t generation; /* written under the lock; read without it before each statement */
    mono_us answered;            /* to a question of this generation, asked then; 0: none yet */
};

struct db_target *db_target_new(const struct config_server *server)
{
    struct db_target *t = mem_zalloc(1, sizeof *t);

    t->server = server;
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void db_target_free(struct db_target *t)
{
    if (t == NULL)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void db_target_get(struct db_target *t, size_t *ret_address, uint64_t *ret_generation)
{
    pthread_mutex_lock(&t->lock);
    *ret_address = t->address;
    *ret_generation = t->generation;
    pthread_mutex_unlock(&t->lock);
}

bool db_target_choose(struct db_target *t, uint64_t since, size_t address, uint64_t *ret_generation)
{
    pthread_mutex_lock(&t->lock);
    bool ok = t->generation == since || t->address == address;

    if (ok && t->address != address) {
        t->address = address;
        t->generation++;
        t->answered = (mono_us){0};
    }
    *ret_generation = t->generation;
    pthread_mutex_unlock(&t->lock);
    return ok;
}

bool db_target_is_current(struct db_target *t, uint64_t generation) { return t->generation == generation; }

void db_target_answered(struct db_target *t, uint64_t generation, mono_us asked)
{
    pthread_mutex_lock(&t->lock);
    if (t->generation == generation && asked.v > t->answered.v)
        t->answered = asked;
    pthread_mutex_unlock(&t->lock);
}

bool db_target_has_answered(struct db_target *t, uint64_t generation, mono_us since)
{
    pthread_mutex_lock(&t->lock);
    bool has = t->generation == generation && t->answered.v > 0 && t->answered.v >= since.v;

    pthread_mutex_unlock(&t->lock);
    return has;
}

const char *db_target_print(const struct config_server *server, size_t address, char *out, size_t size)
{
    if (server->naddresses == 0)
        snprintf(out, size, "%s", server->socket);
    else
        snprintf(out, size, strchr(server->addresses[address].host, ':') != NULL ? "[%s]:%u" : "%s:%u",
                 server->addresses[address].host, (unsigned)server->addresses[address].port);
    return out;
}
