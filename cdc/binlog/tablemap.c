#include "cdc/binlog/tablemap.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

void tablemap_done(struct tablemap *t)
{
    free(t->columns);
    buf_done(&t->body);
    *t = (struct tablemap){0};
}

void tablemap_forget(struct tablemap *t) { buf_clear(&t->body); }

bool tablemap_take(struct tablemap *t, const struct event_table_map *map, bool *ret_same, struct err *err)
{
    /* Types, metadata, NULL bits and optional metadata stand one behind the other to the end of the event. */
    size_t len = (size_t)(map->optional + map->optional_len - map->types);
    *ret_same = len > 0 && map->ncolumns == t->ncolumns && len == t->body.len &&
                memcmp(t->body.data, map->types, len) == 0;
    if (*ret_same)
        return true;

    buf_clear(&t->body);
    t->columns = mem_realloc(t->columns, (map->ncolumns + 1) * sizeof(*t->columns));
    t->ncolumns = 0;
    if (!rows_columns(map, t->columns, err))
        return false;
    t->ncolumns = map->ncolumns;
    buf_add(&t->body, map->types, len);
    return true;
}
