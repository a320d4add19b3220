/*
 * The control tables that tell an echo begin alike: link VARCHAR, side ENUM('left', 'right'),
 * a BIGINT UNSIGNED. That is all that is read of them. The two columns in front are part of
 * the primary key, so even a minimal row image holds them, an update's in
 * its before image.
 */
#include "cdc/binlog/echo.h"

#include <string.h>

#include "cdc/binlog/rows.h"
#include "cdc/model/value.h"

static char *side_labels[] = {"left", "right"};
static const struct column link_column = {.name = "link", .kind = COL_TEXT, .ordinal = 0};
static const struct column side_column = {
    .name = "side", .kind = COL_ENUM, .ordinal = 1, .labels = side_labels, .nlabels = 2};
static const struct column id_column = {
    .name = "id", .kind = COL_INT, .ordinal = 2, .is_unsigned = true, .length = 8};

enum { FIELD_LINK, FIELD_SIDE, FIELD_ID, NFIELDS };

static const struct rows_want wants[NFIELDS] = {
    {0, &link_column, NULL, FIELD_LINK}, /* utf8mb4 */
    {1, &side_column, NULL, FIELD_SIDE},
    {2, &id_column, NULL, FIELD_ID},
};

static bool is_named(const char *name, size_t len, const char *wanted)
{
    return strlen(wanted) == len && memcmp(name, wanted, len) == 0;
}

enum echo_table echo_table_of(const char *state_database, const struct event_table_map *map)
{
    if (!is_named(map->db, map->db_len, state_database))
        return ECHO_FOREIGN;
    if (is_named(map->table, map->table_len, "checkpoint") || is_named(map->table, map->table_len, "lane"))
        return ECHO_CHECKPOINT;
    if (is_named(map->table, map->table_len, "marker"))
        return ECHO_MARKER;
    return ECHO_OTHER;
}

bool echo_check_columns(enum echo_table which, const struct tablemap *map, struct err *err)
{
    if (map->ncolumns >= NFIELDS && map->columns[0].type == ROWS_VARCHAR &&
        map->columns[1].type == ROWS_ENUM && map->columns[2].type == ROWS_LONGLONG)
        return true;
    return err_set(err, ERR_HALT, 0, "control table %s has other columns than \"twinlog init\" gives it",
                   which == ECHO_MARKER ? "marker" : "checkpoint");
}

bool echo_row_next(struct cursor *c, const struct event_rows *rows, const struct tablemap *map,
                   struct echo_row *ret_row, struct arena *arena, struct err *err)
{
    struct value row[NFIELDS];
    if (rows->ncolumns != map->ncolumns)
        return err_set(err, ERR_HALT, 0, "rows of a control table do not fit its table map");
    if (!rows_image(c, map->columns, map->ncolumns, rows->present[0], wants, NFIELDS, row, arena, err))
        return err_prefix(err, "control table");
    if (rows->op == EVENT_UPDATE &&
        !rows_image(c, map->columns, map->ncolumns, rows->present[1], NULL, 0, NULL, arena, err))
        return err_prefix(err, "control table");

    if (row[FIELD_LINK].state != VALUE_SET || row[FIELD_SIDE].state != VALUE_SET || row[FIELD_SIDE].len == 0)
        return err_set(err, ERR_HALT, 0, "a row of a control table names no link and side");
    int64_t id;
    ret_row->link = row[FIELD_LINK].data;
    ret_row->link_len = row[FIELD_LINK].len;
    ret_row->side = row[FIELD_SIDE].data[0] == 'l' ? SIDE_LEFT : SIDE_RIGHT;
    ret_row->id = value_to_int64(&row[FIELD_ID], &id) && id > 0 ? (uint64_t)id : 0;
    return true;
}
