// web.h — the server's parts: main.c the loop and the connections, serve.c what each address does, files.c static files, notes.c the note store.
//
// A program like any other for WASI (and for POSIX): it knows nothing of the system below it. Its listening sockets are descriptors 3 …
// 3 + LISTEN_FDS − 1. Where things are comes from the environment: HTTPD_ROOT (/), HTTPD_DATA (/data), HTTPD_SYS (/sys);
// HTTPD_PATIENCE is how many seconds a request may take to come.
#ifndef HTTPD_WEB_H
#define HTTPD_WEB_H
#include "apps/httpd/http.h"

struct response {
    int status;
    const char *type;  // of the body
    const char *etag;  // NULL: none
    const char *allow; // for 405
    const char *cache; // Cache-Control; NULL: no-store
    const char *body;  // stays until the response is sent
    size_t length;
    char *owned; // freed when it is sent; often body
    int64_t at;  // FILE: offset in fd
    int fd; // FILE: the body is `length` bytes of it from `at` on; closed when it is sent. −1: none
};

struct web_counters {
    uint64_t requests, bad, timeouts, accepted, refused;
    uint64_t bytes_in, bytes_out;
    uint64_t by_class[6]; // responses: 1xx … 5xx
    uint32_t open, most;
};
extern struct web_counters web_counters;

// Fills in *out for a request with its whole body. Never fails: errors are responses.
void serve(const struct http_request *r, const char *body, struct response *out);
void serve_start(void);

void files_start(const char *root);
void files_get(const struct http_request *r, struct response *out);

void notes_start(const char *data);
void notes_serve(const struct http_request *r, const char *name, const char *body,
                 struct response *out);

// A short text as the body.
void respond(struct response *out, int status, const char *text);
#endif
