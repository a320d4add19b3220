#include "cdc/model/link.h"

#include <stdlib.h>

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
