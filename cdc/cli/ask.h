/*
 * ask.h - a command's question to the daemon: config and token, the request, and
 * one line about what is wrong when there is no good answer.
 */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/buf.h"
#include "cdc/base/err.h"
#include "config/config.h"

struct ask {
    struct config config;
    char *token; /* "": none */
    size_t token_len;
};

struct ask_answer {
    struct buf text; /* as it came */
    json_t *json;    /* an object */
};

/* Loads the config and reads the token. False: has said what is wrong on standard
 * error, there is nothing to end, and the command returns CLI_USAGE. */
bool ask_begin(struct ask *a, const char *config_path);
void ask_end(struct ask *a);

/* Appends ?name=value, or &name=value behind another, to a path; NULL adds nothing. */
void ask_parameter(struct buf *path, const char *name, const char *value);

/* Takes 5 s at most. True for an answer of 2xx that is a JSON object. err->code is
 * the HTTP status, or 0 if nobody answers; the daemon's own text is in err->text,
 * printable; ERR_CONFIG if it was asked for what is not right (400). */
bool ask_get(const struct ask *a, const char *path, struct ask_answer *ret_answer, struct err *err);
bool ask_post(const struct ask *a, const char *path, struct ask_answer *ret_answer, struct err *err);
/* Does the answer have that field? False, with err, if it has not: then it is not
 * twinlog that answers, or one of another age. */
bool ask_expects(const struct ask *a, const struct ask_answer *answer, const char *name, json_type type,
                 struct err *err);
void ask_answer_done(struct ask_answer *answer);

/* Says err on standard error; what the command returns then. */
int ask_failed(const struct err *err);

/* The answer as the daemon wrote it, for programs: only that a control character
 * inside a string stands as \u00XX. */
void ask_print_json(const struct ask_answer *answer);

/* A field of an answer: a text, else other; a whole number, not below 0, else 0. */
const char *ask_text(json_t *object, const char *name, const char *other);
uint64_t ask_count(json_t *object, const char *name);

#endif
