#include "cdc/model/link.h"

#include <stdlib.h>

#include "cdc/base/buf.h"
#include "cdc/model/jsontext.h"

void link_free(struct link *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; l->fields != NULL && i < l->nfields; i++)
        keyring_free(l->fields[i].keys);
    free(l->fields);
    free(l->key);
    free(l->walk);
    for (int s = 0; s < 2; s++) {
        free(l->server[s]);
        table_free(l->table[s]);
    }
    free(l->name);
    free(l);
}

/* What is no JSON stays as it is: it equals its like, and MySQL refuses it. */
static void canonical_json(struct arena *arena, struct value *v)
{
    struct buf text = BUF_INIT;

    if (jsontext_canonical(v->data, v->len, &text))
        *v = (struct value){arena_copy(arena, text.data, text.len), (uint32_t)text.len, VALUE_SET};
    buf_done(&text);
}

void field_canonical(const struct field *f, enum side side, struct arena *arena, struct value *v)
{
    if (v->state != VALUE_SET)
        return;
    /* Another program has sealed what it had: "12.50" where the plain column says 12.5. */
    if (f->keys != NULL && f->sealed_side == side)
        column_canonical(f->column[side_peer(side)], v->data, v->len, arena, v);
    if (f->json)
        canonical_json(arena, v);
}
