#include "appliers/store.h"

void store_state_done(struct store_state *s)
{
    pos_done(&s->checkpoint.pos);
    s->has_checkpoint = false;
}
