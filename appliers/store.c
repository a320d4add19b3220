#include "appliers/store.h"

void store_state_done(struct store_state *s)
{
    pos_done(&s->checkpoint.pos);
    pos_done(&s->ahead.pos);
    s->has_checkpoint = false;
}
