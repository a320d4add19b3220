#include "cdc/cli/grid.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

void grid_row(struct grid *g)
{
    g->rows = mem_realloc(g->rows, (g->nrows + 1) * sizeof(*g->rows));
    memset(g->rows[g->nrows], 0, sizeof(*g->rows));
    g->nrows++;
}

static void put(struct grid *g, size_t column, enum text_color color, bool right, const char *text)
{
    struct grid_cell *c = &g->rows[g->nrows - 1][column];
    free(c->text);
    c->text = mem_strdup(text);
    text_make_printable(c->text);
    c->color = color;
    c->right = right;
    if (g->ncolumns <= column)
        g->ncolumns = column + 1;
}

void grid_put(struct grid *g, size_t column, const char *text) { put(g, column, TEXT_PLAIN, false, text); }

void grid_put_right(struct grid *g, size_t column, const char *text)
{
    put(g, column, TEXT_PLAIN, true, text);
}

void grid_put_color(struct grid *g, size_t column, enum text_color color, const char *text)
{
    put(g, column, color, false, text);
}

void grid_put_count(struct grid *g, size_t column, uint64_t n)
{
    char text[TEXT_VALUE];
    snprintf(text, sizeof(text), "%" PRIu64, n);
    grid_put_right(g, column, text);
}

void grid_head(struct grid *g, const char *const *names, size_t count)
{
    grid_row(g);
    for (size_t i = 0; i < count; i++)
        put(g, i, TEXT_BOLD, false, names[i]);
}

static const char *text_in(const struct grid_cell *c) { return c->text != NULL ? c->text : ""; }

/* Heads stand where the numbers below them stand. */
void grid_print(struct grid *g)
{
    int widths[GRID_COLUMNS] = {0};
    for (size_t i = 0; i < g->nrows; i++) {
        for (size_t j = 0; j < g->ncolumns; j++) {
            int w = text_width(text_in(&g->rows[i][j]));
            widths[j] = w > widths[j] ? w : widths[j];
            if (i > 0 && g->rows[i][j].right)
                g->rows[0][j].right = true;
        }
    }
    for (size_t i = 0; i < g->nrows; i++) {
        for (size_t j = 0; j < g->ncolumns; j++) {
            struct grid_cell *c = &g->rows[i][j];
            int fill = widths[j] - text_width(text_in(c));
            bool last = j + 1 == g->ncolumns;
            printf("%*s%s%s%s%*s%s", c->right ? fill : 0, "", text_color_on(c->color), text_in(c),
                   text_color_off(c->color), c->right || last ? 0 : fill, "", last ? "\n" : "  ");
            free(c->text);
        }
    }
    free(g->rows);
    memset(g, 0, sizeof(*g));
}
