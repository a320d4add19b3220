#include "cdc/preflight.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"
#include "cdc/preflight_int.h"

/* ---- Two servers ---- */

/* Clocks decide who wins a tie of versions; a second off is what people notice. */
static void check_clocks(struct preflight *p, const struct config_link *link)
{
    const struct preflight_server *left = preflight_find(p, link->side[SIDE_LEFT].server);
    const struct preflight_server *right = preflight_find(p, link->side[SIDE_RIGHT].server);
    if (left == right || !left->has_clock || !right->has_clock)
        return;
    int64_t apart = llabs(left->clock_ahead_us - right->clock_ahead_us);
    int64_t error = left->clock_error_us + right->clock_error_us;
    if (apart - error > 1000000)
        preflight_say(
            p, CHECK_WARN, link->name, "let both machines follow the same time servers (chrony, ntpd)",
            "the clock of %s is %.1f s %s that of %s; with equal versions the side that is ahead wins",
            left->config->name, (double)apart / 1e6,
            left->clock_ahead_us > right->clock_ahead_us ? "ahead of" : "behind", right->config->name);
    else
        preflight_say(p, CHECK_OK, link->name, NULL, "both clocks agree within a second");
}

/* What one side takes as one packet the other must take too. */
static void check_packets(struct preflight *p, const struct config_link *link)
{
    for (enum side to = SIDE_LEFT; to <= SIDE_RIGHT; to++) {
        const struct preflight_server *from = preflight_find(p, link->side[side_peer(to)].server);
        const struct preflight_server *s = preflight_find(p, link->side[to].server);
        uint64_t here = preflight_number(s, "max_allowed_packet"),
                 there = preflight_number(from, "max_allowed_packet");
        struct buf mend = BUF_INIT;
        if (here == 0 || here >= there)
            continue;
        buf_addf(&mend, "SET GLOBAL max_allowed_packet = %" PRIu64 "; -- on %s, and in its config", there,
                 s->config->name);
        preflight_say(
            p, CHECK_WARN, link->name, mend.data,
            "max_allowed_packet is %.0f MiB on %s and %.0f MiB on %s: a longer row would be quarantined",
            (double)here / 1048576, s->config->name, (double)there / 1048576, from->config->name);
        buf_done(&mend);
    }
}

/* The config sees only addresses, and a server may have many. */
static void check_identities(struct preflight *p)
{
    for (size_t i = 0; i < p->config->nservers; i++)
        for (size_t k = 0; k < i; k++) {
            const struct preflight_server *a = &p->servers[k], *b = &p->servers[i];
            if (a->identity != NULL && b->identity != NULL && strcmp(a->identity, b->identity) == 0)
                preflight_say(p, CHECK_OK, b->config->name, NULL, "this is the same server as %s",
                              a->config->name);
        }
}

static void check_two_tables(struct preflight *p, const struct config_link *link)
{
    const struct config_table *a = &link->side[SIDE_LEFT], *b = &link->side[SIDE_RIGHT];
    const struct preflight_server *left = preflight_find(p, a->server), *right = preflight_find(p, b->server);
    if (left != right && left->identity != NULL && right->identity != NULL &&
        strcmp(left->identity, right->identity) == 0 && strcmp(a->db, b->db) == 0 &&
        strcmp(a->table, b->table) == 0)
        preflight_say(p, CHECK_FAIL, link->name, NULL,
                      "servers %s and %s are one, so left and right are one table, %s.%s", a->server,
                      b->server, a->db, a->table);
}

/* ---- The whole ---- */

static bool is_used(const struct config *c, const char *server)
{
    for (size_t i = 0; i < c->nlinks; i++)
        for (int s = 0; s < 2; s++)
            if (strcmp(c->links[i].side[s].server, server) == 0)
                return true;
    return false;
}

static void check_servers(struct preflight *p)
{
    for (size_t i = 0; i < p->config->nservers; i++) {
        struct preflight_server *s = &p->servers[i];
        s->config = &p->config->servers[i];
        s->options = (struct db_options){.server = s->config,
                                         .connect_timeout_s = p->config->connect_timeout_s,
                                         .read_timeout_s = p->config->read_timeout_s,
                                         .inspect_only = true,
                                         .target = db_target_new(s->config)};
        if (is_used(p->config, s->config->name))
            preflight_check_server(p, s);
        else
            preflight_say(p, CHECK_WARN, s->config->name, NULL, "no link uses this server");
    }
}

static void free_servers(struct preflight *p)
{
    for (size_t i = 0; i < p->config->nservers; i++)
        preflight_server_done(&p->servers[i]);
    free(p->servers);
}

/* A server that went away in the middle makes much FAIL that is as it has to be. */
static bool has_lost_one(struct preflight *p)
{
    bool lost = false;
    for (size_t i = 0; i < p->config->nservers; i++) {
        const struct preflight_server *s = &p->servers[i];
        struct err err = ERR_INIT;
        if (s->conn == NULL || preflight_probe(s->conn, &err, "DO 1") || err.kind != ERR_RETRY)
            continue;
        preflight_say(p, CHECK_FAIL, s->config->name, "look again when it is back",
                      "the server went away during the check: %s", err.text);
        lost = true;
    }
    return lost;
}

enum preflight_result preflight(const struct config *config, check_report *report, void *arg,
                                struct link **ret_links)
{
    struct preflight p = {.config = config, .report = report, .arg = arg, .is_start = ret_links != NULL};
    struct link **links = mem_zalloc(config->nlinks, sizeof(struct link *));
    p.servers = mem_zalloc(config->nservers, sizeof(*p.servers));
    check_servers(&p);
    check_identities(&p);
    for (size_t i = 0; i < config->nlinks; i++) {
        links[i] = preflight_check_link(&p, &config->links[i]);
        check_two_tables(&p, &config->links[i]);
        check_clocks(&p, &config->links[i]);
        check_packets(&p, &config->links[i]);
        preflight_check_positions(&p, &config->links[i]);
    }
    bool lost = has_lost_one(&p), pass = p.fails == 0 && p.absents == 0;
    free_servers(&p);
    for (size_t i = 0; i < config->nlinks; i++) {
        if (!pass || ret_links == NULL) {
            link_free(links[i]);
            links[i] = NULL;
        }
        if (ret_links != NULL)
            ret_links[i] = links[i];
    }
    free(links);
    return pass ? PREFLIGHT_PASS : p.fails > 0 && !lost ? PREFLIGHT_FAIL : PREFLIGHT_ABSENT;
}
