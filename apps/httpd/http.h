// http.h — reading HTTP/1.1 requests (RFC 9112). Pure functions over bytes: no input makes them fail other than by a status code.
//
// Strict where laxness has been used to smuggle requests: lines end with CRLF, no blank before a header's colon, no folded lines,
// Content-Length once and only digits, Transfer-Encoding refused, Host once in HTTP/1.1.
#ifndef HTTPD_HTTP_H
#define HTTPD_HTTP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 8192u // request line and headers
#define HTTP_PATH_MAX 1024u
#define HTTP_BODY_MAX 65536u

struct http_text { // of the request, not terminated
    const char *text;
    size_t length;
};
struct http_request {
    struct http_text method, query, host, origin, token, if_none_match;
    char path[HTTP_PATH_MAX]; // decoded, without "." and ".." and double '/', begins with '/'; terminated
    size_t path_length;
    size_t head, body; // bytes; the body follows the head
    bool keep_alive, expect_continue;
};

// *out is filled in when the result is 200. 0: the head is not whole yet. Else the status to answer; the connection cannot be used on.
int http_parse(const char *bytes, size_t n, struct http_request *out);
bool http_is(struct http_text t, const char *word);
// The value of NAME in "a=1&b=2", decoded into `out`; false: not there, or too long, or badly encoded.
bool http_form(struct http_text form, const char *name, char *out, size_t size);
const char *http_reason(int status);
#endif
