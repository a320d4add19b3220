/*
 * grid.h - rows of aligned columns on standard output.
 *
 * Cells may hold what came over a network: they are made printable. All memory is
 * freed by grid_print().
 */
#ifndef CLI_GRID_H
#define CLI_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/cli/text.h"

enum { GRID_COLUMNS = 12 };

struct grid_cell {
    char *text; /* NULL: empty */
    enum text_color color;
    bool right; /* aligned, as numbers are */
};

struct grid { /* begins as {0} */
    struct grid_cell (*rows)[GRID_COLUMNS];
    size_t nrows, ncolumns;
};

void grid_head(struct grid *g, const char *const *names, size_t count); /* the first row */
void grid_row(struct grid *g);
/* Into the last row. */
void grid_put(struct grid *g, size_t column, const char *text);
void grid_put_right(struct grid *g, size_t column, const char *text);
void grid_put_color(struct grid *g, size_t column, enum text_color color, const char *text);
void grid_put_count(struct grid *g, size_t column, uint64_t n);
void grid_print(struct grid *g);

#endif
