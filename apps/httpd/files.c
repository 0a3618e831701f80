// files.c — static files below the root. Small ones are kept in memory once they were asked for: the files do not change while this runs.
#include "apps/httpd/web.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL 262144u
#define CACHED_MAX 64u
#define CACHED_BYTES (4u << 20)

static const char *root;
static struct cached {
    char path[HTTP_PATH_MAX], etag[48];
    const char *type;
    char *data;
    size_t size;
} * cache[CACHED_MAX];
static unsigned cached;
static size_t cached_bytes;

static const char *type_of(const char *path) {
    static const char *const types[][2] = {{".html", "text/html; charset=utf-8"},
                                           {".css", "text/css; charset=utf-8"},
                                           {".js", "text/javascript; charset=utf-8"},
                                           {".json", "application/json"},
                                           {".svg", "image/svg+xml"},
                                           {".png", "image/png"},
                                           {".jpg", "image/jpeg"},
                                           {".ico", "image/x-icon"},
                                           {".woff2", "font/woff2"},
                                           {".wasm", "application/wasm"},
                                           {".txt", "text/plain; charset=utf-8"},
                                           {".md", "text/plain; charset=utf-8"}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (!strcmp(dot, types[i][0])) return types[i][1];
    return "application/octet-stream";
}

void files_start(const char *folder) { root = folder; }

static void answer(const struct http_request *r, struct response *out, const char *etag,
                   const char *type) {
    out->status = 200;
    out->type = type;
    out->etag = etag;
    out->cache = "no-cache"; // kept, but asked for again with its tag
    if (r->if_none_match.length == strlen(etag) &&
        !memcmp(r->if_none_match.text, etag, r->if_none_match.length))
        out->status = 304;
}

static bool from_cache(const struct http_request *r, struct response *out) {
    for (unsigned i = 0; i < cached; i++) {
        if (strcmp(cache[i]->path, r->path)) continue;
        answer(r, out, cache[i]->etag, cache[i]->type);
        out->body = cache[i]->data;
        out->length = cache[i]->size;
        return true;
    }
    return false;
}

// Reads a whole small file into the cache; false: it does not fit there, or cannot be read.
static bool keep(const struct http_request *r, const char *path, int fd, const struct stat *s) {
    size_t size = (size_t)s->st_size, done = 0;
    if (size > SMALL || cached == CACHED_MAX || cached_bytes + size > CACHED_BYTES) return false;
    struct cached *c = malloc(sizeof *c);
    char *data = malloc(size + 1);
    while (c && data && done < size) {
        ssize_t n = pread(fd, data + done, size - done, (off_t)done);
        if (n <= 0) break;
        done += (size_t)n;
    }
    if (!c || !data || done < size) {
        free(c);
        free(data);
        return false;
    }
    *c = (struct cached){.type = type_of(path), .data = data, .size = size};
    memcpy(c->path, r->path, r->path_length + 1);
    snprintf(c->etag, sizeof c->etag, "\"%llx-%llx\"", (unsigned long long)s->st_mtim.tv_sec,
             (unsigned long long)size);
    cache[cached++] = c;
    cached_bytes += size;
    return true;
}

void files_get(const struct http_request *r, struct response *out) {
    static char path[HTTP_PATH_MAX + 512];
    static char etag[48];
    struct stat s;
    if (from_cache(r, out)) return;
    bool folder = r->path[r->path_length - 1] == '/';
    int n = snprintf(path, sizeof path, "%s%s%s", root, r->path, folder ? "index.html" : "");
    if (n < 0 || (size_t)n >= sizeof path) return respond(out, 414, "The address is too long.");
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return errno == ENFILE || errno == EMFILE ? respond(out, 503, "Too many open files.")
                                                  : respond(out, 404, "There is no such page.");
    if (fstat(fd, &s) || !S_ISREG(s.st_mode)) {
        close(fd);
        return respond(out, 404, "There is no such page.");
    }
    if (keep(r, path, fd, &s) && from_cache(r, out)) {
        close(fd);
        return;
    }
    snprintf(etag, sizeof etag, "\"%llx-%llx\"", (unsigned long long)s.st_mtim.tv_sec,
             (unsigned long long)s.st_size);
    answer(r, out, etag, type_of(path)); // the tag is used before the next request is looked at
    out->fd = fd;
    out->length = (size_t)s.st_size;
}
