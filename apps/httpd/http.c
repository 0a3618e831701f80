// http.c — see http.h.
#include "apps/httpd/http.h"
#include <string.h>
#include <strings.h>

#define HEADERS_MAX 64u

static bool is_token_char(unsigned char c) { // RFC 9110 5.6.2
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool http_is(struct http_text t, const char *word) {
    return strlen(word) == t.length && !memcmp(t.text, word, t.length);
}

static bool is_name(struct http_text t, const char *word) {
    return strlen(word) == t.length && !strncasecmp(t.text, word, t.length);
}

// A comma-separated list has the word in it.
static bool has_word(struct http_text t, const char *word) {
    for (size_t i = 0; i < t.length;) {
        while (i < t.length && (t.text[i] == ' ' || t.text[i] == '\t' || t.text[i] == ',')) i++;
        size_t start = i;
        while (i < t.length && t.text[i] != ',') i++;
        size_t end = i;
        while (end > start && (t.text[end - 1] == ' ' || t.text[end - 1] == '\t')) end--;
        if (is_name((struct http_text){t.text + start, end - start}, word)) return true;
    }
    return false;
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// %XX decoded; -1: badly encoded, or too long. Terminated.
static int decode(struct http_text t, bool plus, char *out, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < t.length; i++) {
        char c = t.text[i];
        if (c == '%') {
            if (t.length - i < 3 || hex(t.text[i + 1]) < 0 || hex(t.text[i + 2]) < 0) return -1;
            c = (char)(hex(t.text[i + 1]) << 4 | hex(t.text[i + 2]));
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        if (!c || n + 1 >= size) return -1;
        out[n++] = c;
    }
    out[n] = 0;
    return (int)n;
}

// Takes "." and ".." and empty components out, in place. What would go above the root stays at it (RFC 3986 5.2.4).
static size_t normalise(char *path) {
    char *to = path;
    for (const char *at = path; *at;) {
        while (*at == '/') at++;
        const char *end = at;
        while (*end && *end != '/') end++;
        size_t n = (size_t)(end - at);
        bool last = !*end;
        if ((n == 1 && at[0] == '.') || n == 0) {
            if (last) *to++ = '/';
        } else if (n == 2 && at[0] == '.' && at[1] == '.') {
            while (to > path && *--to != '/')
                ;
            if (last) *to++ = '/';
        } else {
            *to++ = '/';
            memmove(to, at, n);
            to += n;
        }
        at = end;
    }
    if (to == path) *to++ = '/';
    *to = 0;
    return (size_t)(to - path);
}

// The end of the line that begins at *at: its text, and *at behind its CRLF. False: a control character, or a bare CR or LF.
static bool line(const char *bytes, size_t n, size_t *at, struct http_text *out) {
    size_t i = *at;
    while (i < n && bytes[i] != '\r') {
        unsigned char c = (unsigned char)bytes[i];
        if ((c < 32 && c != '\t') || c == 127) return false;
        i++;
    }
    if (i + 1 >= n || bytes[i + 1] != '\n') return false;
    *out = (struct http_text){bytes + *at, i - *at};
    *at = i + 2;
    return true;
}

// METHOD SP target SP HTTP/1.x
static int request_line(struct http_text l, struct http_request *out, bool *out_11) {
    size_t i = 0;
    while (i < l.length && is_token_char((unsigned char)l.text[i])) i++;
    out->method = (struct http_text){l.text, i};
    if (!i || i == l.length || l.text[i] != ' ') return 400;
    size_t target = ++i;
    while (i < l.length && l.text[i] != ' ') {
        if ((unsigned char)l.text[i] <= 32 || (unsigned char)l.text[i] >= 127) return 400;
        i++;
    }
    struct http_text t = {l.text + target, i - target}, v = {l.text + i + 1, l.length - i - 1};
    if (i == l.length || !t.length) return 400;
    if (v.length != 8 || memcmp(v.text, "HTTP/", 5) || v.text[6] != '.' || v.text[5] < '0' ||
        v.text[5] > '9' || v.text[7] < '0' || v.text[7] > '9')
        return 400;
    if (v.text[5] != '1') return 505;
    *out_11 = v.text[7] != '0';
    if (http_is(out->method, "CONNECT")) return 501;
    if (t.text[0] != '/') { // "*" and the absolute form (RFC 9112 3.2.2), whose authority does not matter here
        if (t.length < 7 || strncasecmp(t.text, "http://", 7)) return 400;
        const char *slash = memchr(t.text + 7, '/', t.length - 7);
        if (!slash) return 400;
        t = (struct http_text){slash, t.length - (size_t)(slash - t.text)};
    }
    const char *question = memchr(t.text, '?', t.length);
    if (question) {
        out->query = (struct http_text){question + 1, t.length - (size_t)(question + 1 - t.text)};
        t.length = (size_t)(question - t.text);
    }
    if (t.length >= HTTP_PATH_MAX) return 414;
    if (decode(t, false, out->path, sizeof out->path) < 0) return 400;
    out->path_length = normalise(out->path);
    return 200;
}

static int content_length(struct http_text v, size_t *out) {
    size_t n = 0;
    for (size_t i = 0; i < v.length; i++) {
        if (v.text[i] < '0' || v.text[i] > '9') return 400;
        if (n <= HTTP_BODY_MAX) n = n * 10 + (size_t)(v.text[i] - '0');
    }
    *out = n;
    return !v.length ? 400 : n > HTTP_BODY_MAX ? 413 : 200;
}

static int header(struct http_text l, struct http_request *out, bool *has_length) {
    size_t i = 0;
    while (i < l.length && is_token_char((unsigned char)l.text[i])) i++;
    if (!i || i == l.length || l.text[i] != ':')
        return 400; // also a folded line, and a blank before the colon
    struct http_text name = {l.text, i}, v = {l.text + i + 1, l.length - i - 1};
    while (v.length && (*v.text == ' ' || *v.text == '\t')) v.text++, v.length--;
    while (v.length && (v.text[v.length - 1] == ' ' || v.text[v.length - 1] == '\t')) v.length--;
    if (is_name(name, "content-length")) {
        if (*has_length) return 400;
        *has_length = true;
        return content_length(v, &out->body);
    }
    if (is_name(name, "host")) {
        if (out->host.text) return 400;
        out->host = v;
    } else if (is_name(name, "transfer-encoding")) {
        return 501;
    } else if (is_name(name, "connection")) {
        if (has_word(v, "close"))
            out->keep_alive = false;
        else if (has_word(v, "keep-alive"))
            out->keep_alive = true;
    } else if (is_name(name, "expect")) {
        if (!is_name(v, "100-continue")) return 417;
        out->expect_continue = true;
    } else if (is_name(name, "origin")) {
        out->origin = v;
    } else if (is_name(name, "x-token")) {
        out->token = v;
    } else if (is_name(name, "if-none-match")) {
        out->if_none_match = v;
    }
    return 200;
}

// Whether the head is whole: its length with the empty line, else 0.
static size_t head_length(const char *bytes, size_t n) {
    for (const char *at = bytes; (at = memchr(at, '\n', n - (size_t)(at - bytes)));) {
        at++;
        size_t left = n - (size_t)(at - bytes);
        if (left >= 2 && at[0] == '\r' && at[1] == '\n') return (size_t)(at - bytes) + 2;
        if (left >= 1 && at[0] == '\n') return (size_t)(at - bytes) + 1; // a bare LF: refused below
    }
    return 0;
}

int http_parse(const char *bytes, size_t n, struct http_request *out) {
    struct http_text l;
    size_t at = 0;
    bool is_11, has_length = false;
    while (at + 2 <= n && bytes[at] == '\r' && bytes[at + 1] == '\n' && at < 8)
        at += 2; // RFC 9112 2.2
    size_t head = head_length(bytes + at, n - at);
    if (!head) return n < HTTP_HEAD_MAX ? 0 : 431;
    head += at;
    if (head > HTTP_HEAD_MAX) return 431;
    *out = (struct http_request){.head = head};
    if (!line(bytes, head, &at, &l)) return 400;
    int status = request_line(l, out, &is_11);
    if (status != 200) return status;
    out->keep_alive = is_11;
    for (unsigned headers = 0; at + 2 < head; headers++) {
        if (headers == HEADERS_MAX) return 431;
        if (!line(bytes, head, &at, &l)) return 400;
        status = header(l, out, &has_length);
        if (status != 200) return status;
    }
    if (at + 2 != head || bytes[at] != '\r') return 400;
    if (is_11 && !out->host.text) return 400;
    return 200;
}

bool http_form(struct http_text form, const char *name, char *out, size_t size) {
    size_t length = strlen(name);
    for (size_t i = 0; i < form.length;) {
        size_t end = i;
        while (end < form.length && form.text[end] != '&') end++;
        if (end - i > length && form.text[i + length] == '=' && !memcmp(form.text + i, name, length))
            return decode((struct http_text){form.text + i + length + 1, end - i - length - 1},
                          true, out, size) >= 0;
        i = end + 1;
    }
    return false;
}

const char *http_reason(int status) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {{200, "OK"},
                   {201, "Created"},
                   {204, "No Content"},
                   {301, "Moved Permanently"},
                   {304, "Not Modified"},
                   {400, "Bad Request"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {408, "Request Timeout"},
                   {413, "Content Too Large"},
                   {414, "URI Too Long"},
                   {417, "Expectation Failed"},
                   {431, "Request Header Fields Too Large"},
                   {500, "Internal Server Error"},
                   {501, "Not Implemented"},
                   {503, "Service Unavailable"},
                   {505, "HTTP Version Not Supported"},
                   {507, "Insufficient Storage"}};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status) return reasons[i].reason;
    return "Error";
}
