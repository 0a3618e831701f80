// notes.c — a small persistent store: one file a note, in HTTPD_DATA/notes.
//
// What is answered with 200, 201 or 204 survives a power cut: a note is written to a file of its own and synced, then renamed over the old
// one, then the directory is synced. So a note is always whole, the old text or the new one.
#include "apps/httpd/web.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_BYTES 64u
#define NOTES_MAX 1000u
#define TEMPORARY ".new"

static char folder[512];
static bool there;

static void path_of(char *out, size_t size, const char *name) {
    snprintf(out, size, "%s/%s", folder, name);
}

static bool good_name(const char *name) { // no dot in front: so neither ".", "..", nor the temporary file
    size_t n = strlen(name);
    return n && n <= NAME_MAX_BYTES && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

void notes_start(const char *data) {
    int n = snprintf(folder, sizeof folder, "%s/notes", data);
    there = n > 0 && (size_t)n < sizeof folder - NAME_MAX_BYTES - 8 &&
            (!mkdir(folder, 0777) || errno == EEXIST);
}

static int sync_folder(void) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    int error = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0) close(fd);
    return error;
}

static void failed(struct response *out) {
    if (errno == ENOSPC)
        respond(out, 507, "The disk is full.");
    else
        respond(out, 500, "The disk did not take it.");
}

static void put(const struct http_request *r, const char *name, const char *body, struct response *out) {
    char path[640], temporary[640];
    struct stat s;
    path_of(path, sizeof path, name);
    path_of(temporary, sizeof temporary, TEMPORARY);
    bool is_new = stat(path, &s) != 0;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0) return failed(out);
    size_t done = 0;
    while (done < r->body) {
        ssize_t n = write(fd, body + done, r->body - done);
        if (n <= 0) break;
        done += (size_t)n;
    }
    bool good = done == r->body && !fsync(fd);
    if (close(fd) || !good || rename(temporary, path) || sync_folder()) return failed(out);
    respond(out, is_new ? 201 : 200, is_new ? "Kept." : "Changed.");
}

static void get(const char *name, struct response *out) {
    char path[640];
    struct stat s;
    path_of(path, sizeof path, name);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &s) || !S_ISREG(s.st_mode)) {
        if (fd >= 0) close(fd);
        return respond(out, 404, "There is no such note.");
    }
    *out = (struct response){
        .status = 200, .type = "text/plain; charset=utf-8", .fd = fd, .length = (size_t)s.st_size};
}

static void delete (const char *name, struct response *out) {
    char path[640];
    path_of(path, sizeof path, name);
    if (unlink(path)) {
        if (errno == ENOENT) return respond(out, 404, "There is no such note.");
        return failed(out);
    }
    if (sync_folder()) return failed(out);
    respond(out, 204, "");
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(struct response *out) {
    char *names[NOTES_MAX];
    size_t count = 0, size = 8, n = 0;
    DIR *d = opendir(folder);
    if (!d) return failed(out);
    for (struct dirent *e; count < NOTES_MAX && (e = readdir(d));) {
        if (!good_name(e->d_name) || !(names[count] = strdup(e->d_name))) continue;
        size += strlen(names[count++]) + 3;
    }
    closedir(d);
    qsort(names, count, sizeof *names, by_name);
    char *text = malloc(size);
    if (text) text[n++] = '[';
    for (size_t i = 0; i < count; i++) { // names need no escaping
        if (text) n += (size_t)snprintf(text + n, size - n, "%s\"%s\"", i ? "," : "", names[i]);
        free(names[i]);
    }
    if (!text) return respond(out, 503, "Out of memory.");
    memcpy(text + n, "]\n", 2);
    *out = (struct response){
        .status = 200, .type = "application/json", .body = text, .length = n + 2, .owned = text, .fd = -1};
}

void notes_serve(const struct http_request *r, const char *name, const char *body,
                 struct response *out) {
    bool reads = http_is(r->method, "GET") || http_is(r->method, "HEAD");
    if (!there) return respond(out, 503, "There is no disk for notes.");
    if (!*name) {
        if (reads) return list(out);
        out->allow = "GET, HEAD";
        return respond(out, 405, "Only GET here.");
    }
    if (!good_name(name))
        return respond(out, 400,
                       "A note's name is up to 64 of A-Z a-z 0-9 - _ . without a dot in front.");
    if (reads) return get(name, out);
    if (http_is(r->method, "PUT")) return put(r, name, body, out);
    if (http_is(r->method, "DELETE")) return delete (name, out);
    out->allow = "GET, HEAD, PUT, DELETE";
    respond(out, 405, "GET, PUT or DELETE a note.");
}
