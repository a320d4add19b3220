#include "cdc/service/document.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

json_t *document_text(const char *text)
{
    json_t *ret = json_string(text);
    if (ret != NULL)
        return ret;
    char *copy = mem_strdup(text);
    for (char *p = copy; *p != '\0'; p++) {
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    }
    ret = json_string(copy);
    free(copy);
    return ret;
}

json_t *document_text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : document_text(text);
}

json_t *document_count(uint64_t n) { return json_integer((json_int_t)n); }

json_t *document_wall_or_null(wall_us at)
{
    char text[64];
    return at.v == 0 ? json_null() : json_string(wall_iso(at, text, sizeof(text)));
}

/* As a row has it: to the microsecond. */
static json_t *micros_or_null(int64_t us)
{
    char text[64];
    if (us == INT64_MIN)
        return json_null();
    wall_sql((wall_us){us}, text, sizeof(text) - 1);
    char *space = strchr(text, ' ');
    if (space != NULL)
        *space = 'T';
    size_t len = strlen(text);
    memcpy(text + len, "Z", 2);
    return json_string(text);
}

json_t *document_job(const struct job *j)
{
    json_t *o = json_object();
    json_object_set_new(o, "job", document_count(j->id));
    json_object_set_new(o, "link", document_text(j->link));
    json_object_set_new(o, "state", json_string(job_state_name(j->state)));
    json_object_set_new(o, "cause", json_string(job_cause_name(j->cause)));
    json_object_set_new(o, "from", j->order.has_from ? json_string(side_name(j->order.from)) : json_null());
    json_object_set_new(o, "mode", json_string(j->order.force ? "force" : "merge"));
    json_object_set_new(o, "missing", json_string(j->order.delete_missing ? "delete" : "copy"));
    json_object_set_new(o, "rows_scanned", document_count(j->rows_scanned));
    json_object_set_new(o, "rows_written", document_count(j->rows_written));
    json_object_set_new(o, "conflicts", document_count(j->conflicts));
    json_object_set_new(o, "quarantined", document_count(j->quarantined));
    json_object_set_new(o, "rows_expected", document_count(j->rows_expected));
    json_object_set_new(o, "percent", json_integer((json_int_t)job_percent(j)));
    json_object_set_new(o, "started_at", document_wall_or_null(j->started_at));
    json_object_set_new(o, "ended_at", document_wall_or_null(j->ended_at));
    json_object_set_new(o, "reason", document_text_or_null(j->reason));
    json_object_set_new(o, "error", document_text_or_null(j->error));
    json_object_set_new(o, "again", document_text_or_null(j->again));
    return o;
}

json_t *document_waiting_key(const struct waiting_key *k)
{
    json_t *o = json_object();
    json_object_set_new(o, "link", document_text(k->link));
    json_object_set_new(o, "key", document_text(k->key));
    json_object_set_new(o, "hash", document_text(k->hash));
    json_object_set_new(o, "from", json_string(side_name(k->from)));
    json_object_set_new(o, "code", json_integer((json_int_t)k->code));
    json_object_set_new(o, "why", document_text(k->why));
    json_object_set_new(o, "since", document_wall_or_null(k->since));
    json_object_set_new(o, "next_try", document_wall_or_null(k->next_try.v > 0 ? k->next_try : clock_wall()));
    json_object_set_new(o, "tries", json_integer((json_int_t)k->tries));
    return o;
}

/* A JSON integer as far as parsers hold one in 64 bits with a sign, its digits as a string above. */
static json_t *version_or_null(value_int n)
{
    char text[VALUE_INT_TEXT];
    if (n == VALUE_INT_NONE)
        return json_null();
    return n <= INT64_MAX ? json_integer((json_int_t)n) : json_string(value_int_text(n, text));
}

static json_t *row_json(const struct conflict_row *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "present", json_boolean(r->present));
    json_object_set_new(o, "version", version_or_null(r->present ? r->version : VALUE_INT_NONE));
    json_object_set_new(o, "updated_at", micros_or_null(r->present ? r->updated_us : INT64_MIN));
    return o;
}

/* "name,email" */
static json_t *columns_json(const char *columns)
{
    json_t *list = json_array();
    while (*columns != '\0') {
        size_t len = strcspn(columns, ",");
        char *name = mem_strndup(columns, len);
        json_array_append_new(list, document_text(name));
        free(name);
        columns += len + (columns[len] == ',');
    }
    return list;
}

json_t *document_conflict(const struct conflict *c)
{
    struct buf id = BUF_INIT;
    json_t *o = json_object();
    buf_addf(&id, "%s.%" PRIu64, c->link, c->id);
    json_object_set_new(o, "id", document_text(id.data));
    json_object_set_new(o, "link", document_text(c->link));
    json_object_set_new(o, "at", document_wall_or_null(c->at));
    json_object_set_new(o, "key", document_text(c->key));
    json_object_set_new(o, "met", document_text(c->met));
    json_object_set_new(o, "rule", document_text(c->rule));
    json_object_set_new(o, "winner", json_string(side_name(c->winner)));
    json_object_set_new(o, "left", row_json(&c->row[SIDE_LEFT]));
    json_object_set_new(o, "right", row_json(&c->row[SIDE_RIGHT]));
    json_object_set_new(o, "columns", columns_json(c->columns));
    buf_done(&id);
    return o;
}

void document_add(json_t *document, struct buf *out)
{
    char *text = json_dumps(document, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    buf_adds(out, text);
    buf_addc(out, '\n');
    free(text);
    json_decref(document);
}
