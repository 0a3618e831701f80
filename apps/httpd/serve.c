// serve.c — what each address does.
//
//   /api/status    the state of the system, as the system tells it     /api/server   this server's own numbers, and the token
//   /api/log       the newest part of the system log                   /metrics      both, for Prometheus
//   /control       POST op=kill&name=…: needs the token, which only a page from here can read (no other origin is allowed to)
//   /notes/…       the note store                                      all else      static files
#include "apps/httpd/web.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX (1u << 20)

static const char *sys;
static char token[33];

static const char *from_environment(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value ? value : otherwise;
}

void serve_start(void) {
    unsigned char random[16];
    sys = from_environment("HTTPD_SYS", "/sys");
    files_start(from_environment("HTTPD_ROOT", ""));
    notes_start(from_environment("HTTPD_DATA", "/data"));
    // Without random bytes the token stays empty, and nothing can be controlled.
    if (getentropy(random, sizeof random)) return;
    for (size_t i = 0; i < sizeof random; i++) snprintf(token + 2 * i, 3, "%02x", random[i]);
}

void respond(struct response *out, int status, const char *text) {
    out->status = status;
    out->type = "text/plain; charset=utf-8";
    out->body = text;
    out->length = strlen(text);
}

// A file of the system's state, which has no size in advance. `more` bytes of room are left behind it.
static char *read_state(const char *name, size_t more, size_t *out_n) {
    char path[256];
    size_t n = 0, size = 65536;
    snprintf(path, sizeof path, "%s/%s", sys, name);
    int fd = open(path, O_RDONLY);
    if (fd < 0) return NULL;
    char *text = malloc(size + more);
    for (ssize_t k; text && (k = read(fd, text + n, size - n)) > 0;) {
        n += (size_t)k;
        if (n < size || size >= TEXT_MAX) continue;
        size *= 2;
        char *larger = realloc(text, size + more);
        if (!larger) free(text);
        text = larger;
    }
    close(fd);
    *out_n = n;
    return text;
}

static void state(const char *name, const char *type, struct response *out) {
    size_t n;
    char *text = read_state(name, 0, &n);
    if (!text) return respond(out, 503, "The system does not say.");
    *out = (struct response){
        .status = 200, .type = type, .body = text, .length = n, .owned = text, .fd = -1};
}

#define OWN_MAX 2048u

static void metrics(struct response *out) {
    const struct web_counters *c = &web_counters;
    size_t n = 0;
    char *text = read_state("metrics", OWN_MAX, &n);
    if (!text) text = malloc(OWN_MAX);
    if (!text) return respond(out, 503, "Out of memory.");
    n += (size_t)snprintf(
        text + n, OWN_MAX,
        "# TYPE httpd_requests_total counter\nhttpd_requests_total %llu\n"
        "# TYPE httpd_responses_total counter\n"
        "httpd_responses_total{class=\"2xx\"} %llu\nhttpd_responses_total{class=\"3xx\"} %llu\n"
        "httpd_responses_total{class=\"4xx\"} %llu\nhttpd_responses_total{class=\"5xx\"} %llu\n"
        "# TYPE httpd_connections_total counter\nhttpd_connections_total %llu\n"
        "# TYPE httpd_connections gauge\nhttpd_connections %u\n"
        "# TYPE httpd_timeouts_total counter\nhttpd_timeouts_total %llu\n"
        "# TYPE httpd_received_bytes_total counter\nhttpd_received_bytes_total %llu\n"
        "# TYPE httpd_sent_bytes_total counter\nhttpd_sent_bytes_total %llu\n",
        (unsigned long long)c->requests, (unsigned long long)c->by_class[2],
        (unsigned long long)c->by_class[3], (unsigned long long)c->by_class[4],
        (unsigned long long)c->by_class[5], (unsigned long long)c->accepted, c->open,
        (unsigned long long)c->timeouts, (unsigned long long)c->bytes_in,
        (unsigned long long)c->bytes_out);
    *out = (struct response){.status = 200,
                             .type = "text/plain; version=0.0.4; charset=utf-8",
                             .body = text,
                             .length = n,
                             .owned = text,
                             .fd = -1};
}

static void server(struct response *out) {
    const struct web_counters *c = &web_counters;
    char *text = malloc(512);
    if (!text) return respond(out, 503, "Out of memory.");
    int n = snprintf(text, 512,
                     "{\"requests\":%llu,\"bad\":%llu,\"refused\":%llu,\"timeouts\":%llu,"
                     "\"accepted\":%llu,\"open\":"
                     "%u,\"most\":%u,"
                     "\"bytes_in\":%llu,\"bytes_out\":%llu,\"token\":\"%s\"}\n",
                     (unsigned long long)c->requests, (unsigned long long)c->bad,
                     (unsigned long long)c->refused, (unsigned long long)c->timeouts,
                     (unsigned long long)c->accepted, c->open, c->most,
                     (unsigned long long)c->bytes_in, (unsigned long long)c->bytes_out, token);
    *out = (struct response){.status = 200,
                             .type = "application/json",
                             .body = text,
                             .length = (size_t)n,
                             .owned = text,
                             .fd = -1};
}

// A page elsewhere can make a browser send this, but can neither read the token nor set the header without being asked first.
static bool from_here(const struct http_request *r) {
    size_t n = sizeof token - 1;
    unsigned different = r->token.length != n || !token[0];
    for (size_t i = 0; i < n && r->token.length == n; i++)
        different |= (unsigned)(token[i] ^ r->token.text[i]);
    if (different) return false;
    if (!r->origin.length) return true;
    return r->origin.length == r->host.length + 7 && !memcmp(r->origin.text, "http://", 7) &&
           !memcmp(r->origin.text + 7, r->host.text, r->host.length);
}

static void control(const struct http_request *r, const char *body, struct response *out) {
    char op[16], name[64], line[96], path[256];
    struct http_text form = {body, r->body};
    if (!http_is(r->method, "POST")) {
        out->allow = "POST";
        return respond(out, 405, "Only POST here.");
    }
    if (!from_here(r)) return respond(out, 403, "This is not asked by the status page.");
    if (!http_form(form, "op", op, sizeof op) || !http_form(form, "name", name, sizeof name) ||
        (strcmp(op, "kill") && strcmp(op, "restart")) || strpbrk(name, " \r\n"))
        return respond(out, 400, "op is kill or restart, and name a module.");
    int n = snprintf(line, sizeof line, "%s %s\n", op, name);
    snprintf(path, sizeof path, "%s/control", sys);
    int fd = open(path, O_WRONLY);
    if (fd < 0) return respond(out, 503, "The system cannot be controlled from here.");
    ssize_t written = write(fd, line, (size_t)n);
    close(fd);
    if (written == n)
        respond(out, 200, "Done.");
    else
        respond(out, 403, "The system refused.");
}

void serve(const struct http_request *r, const char *body, struct response *out) {
    bool reads = http_is(r->method, "GET") || http_is(r->method, "HEAD");
    *out = (struct response){.fd = -1};
    if (!strncmp(r->path, "/notes/", 7)) return notes_serve(r, r->path + 7, body, out);
    if (!strcmp(r->path, "/control")) return control(r, body, out);
    if (!reads) {
        out->allow = "GET, HEAD";
        return respond(out,
                       http_is(r->method, "POST") || http_is(r->method, "PUT") ||
                               http_is(r->method, "DELETE") || http_is(r->method, "OPTIONS") ||
                               http_is(r->method, "PATCH")
                           ? 405
                           : 501,
                       "This cannot be done here.");
    }
    if (!strcmp(r->path, "/api/status")) return state("domains.json", "application/json", out);
    if (!strcmp(r->path, "/api/log")) return state("log", "text/plain; charset=utf-8", out);
    if (!strcmp(r->path, "/api/server")) return server(out);
    if (!strcmp(r->path, "/metrics")) return metrics(out);
    files_get(r, out);
}
