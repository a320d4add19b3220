/*
 * side.h - the two sides of a link, and its two directions, each named by the
 * side it reads from.
 */
#ifndef MODEL_SIDE_H
#define MODEL_SIDE_H

enum side { SIDE_LEFT, SIDE_RIGHT };

static inline enum side side_peer(enum side s) { return s == SIDE_LEFT ? SIDE_RIGHT : SIDE_LEFT; }
static inline const char *side_name(enum side s) { return s == SIDE_LEFT ? "left" : "right"; }
/* As in metrics and the checkpoint table: "left_to_right". */
static inline const char *direction_name(enum side from)
{
    return from == SIDE_LEFT ? "left_to_right" : "right_to_left";
}
/* As in log lines: "left>right". */
static inline const char *direction_arrow(enum side from)
{
    return from == SIDE_LEFT ? "left>right" : "right>left";
}

#endif
