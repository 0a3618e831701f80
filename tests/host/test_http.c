// test_http.c — the HTTP server's reader of requests: what it takes, what it refuses and with which status, and noise.
#include "apps/httpd/http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, struct http_request *r) {
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1); // exactly as large: reading behind it is found
    memcpy(copy, text, n);
    int status = http_parse(copy, n, r);
    free(copy);
    return status;
}

static const struct {
    int status;
    const char *text;
} cases[] = {
    {0, ""},
    {0, "GET / HTTP/1.1\r\n"},
    {0, "GET / HTTP/1.1\r\nHost: a\r\n"},
    {0, "GET / HTTP/1.1\r\nHost: a\r\n\r"},
    {200, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {200, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {200, "GET / HTTP/1.0\r\n\r\n"},
    {200, "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n"},
    {200, "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n"},
    {200, "GET / HTTP/1.1\r\nHost:\t a \t\r\nX-Empty:\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n\r\n"},                          // no Host
    {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},    // two
    {400, "GET / HTTP/1.1\nHost: a\n\n"},                     // bare LF
    {400, "GET / HTTP/1.1\r\nHost: a\n\r\n"},                 //
    {400, "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"},            // bare CR
    {400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},              // two blanks
    {400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},              //
    {400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},              //
    {400, "GET /\r\nHost: a\r\n\r\n"},                        // HTTP/0.9
    {400, "G\001T / HTTP/1.1\r\nHost: a\r\n\r\n"},            //
    {400, "GET x HTTP/1.1\r\nHost: a\r\n\r\n"},               // no path
    {400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},               //
    {400, "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"},            //
    {400, "GET /%0 HTTP/1.1\r\nHost: a\r\n\r\n"},             //
    {400, "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n"},          //
    {400, "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"},       // not encoded
    {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},              // blank before the colon
    {400, "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n"}, //
    {400, "GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n"},    //
    {400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"},        //
    {400, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"},
    {400, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"},
    {400, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1,1\r\n\r\n"},
    {400, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
    {400, "GET / HTTX/1.1\r\nHost: a\r\n\r\n"},
    {413, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"},
    {413, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999999\r\n\r\n"},
    {417, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n"},
    {501, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {501, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\n\r\n"},
    {501, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
};

static void statuses(void **state) {
    (void)state;
    struct http_request r;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (parse(cases[i].text, &r) != cases[i].status)
            fail_msg("%s: %d, not %d", cases[i].text, parse(cases[i].text, &r), cases[i].status);
}

static void limits(void **state) {
    (void)state;
    static char text[2 * HTTP_HEAD_MAX];
    struct http_request r;
    memset(text, 'a', HTTP_HEAD_MAX);
    memcpy(text, "GET /", 5);
    text[HTTP_HEAD_MAX - 1] = 0;
    assert_int_equal(parse(text, &r), 0);
    text[HTTP_HEAD_MAX - 1] = 'a';
    assert_int_equal(parse(text, &r), 431);
    snprintf(text, sizeof text, "GET /%01023d HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    assert_int_equal(parse(text, &r), 414);
    snprintf(text, sizeof text, "GET /%01022d HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    assert_int_equal(parse(text, &r), 200);
    strcpy(text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 63; i++) strcat(text, "x: y\r\n");
    assert_int_equal(parse(strcat(text, "\r\n"), &r), 200);
    text[strlen(text) - 2] = 0;
    assert_int_equal(parse(strcat(text, "x: y\r\n\r\n"), &r), 431);
}

static void paths(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"/", "/"},
                                           {"/a/b", "/a/b"},
                                           {"//a///b/", "/a/b/"},
                                           {"/.", "/"},
                                           {"/a/.", "/a/"},
                                           {"/./a", "/a"},
                                           {"/..", "/"},
                                           {"/../../etc/passwd", "/etc/passwd"},
                                           {"/a/../b", "/b"},
                                           {"/a/..", "/"},
                                           {"/a/b/..", "/a/"},
                                           {"/a/b/../", "/a/"},
                                           {"/%2e%2e/x", "/x"},
                                           {"/a%2f..%2fb", "/b"},
                                           {"/a%20b", "/a b"},
                                           {"/...", "/..."},
                                           {"/a/.../b", "/a/.../b"},
                                           {"/x?a=../..", "/x"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char text[256];
        struct http_request r;
        snprintf(text, sizeof text, "GET %s HTTP/1.0\r\n\r\n", pairs[i][0]);
        assert_int_equal(parse(text, &r), 200);
        assert_string_equal(r.path, pairs[i][1]);
        assert_int_equal(r.path_length, strlen(pairs[i][1]));
    }
}

static void fields(void **state) {
    (void)state;
    struct http_request r;
    const char *text = "PUT /a?b=c%20d&e=f+g&h HTTP/1.1\r\nHOST: x:80\r\nConnection: foo, "
                       "Close\r\ncontent-length: 5\r\n"
                       "Expect: 100-Continue\r\nOrigin: http://x:80\r\nX-Token: "
                       "t\r\nIf-None-Match: \"1\"\r\n\r\nhello";
    char value[16];
    assert_int_equal(http_parse(text, strlen(text), &r), 200);
    assert_int_equal(r.head, strlen(text) - 5);
    assert_int_equal(r.body, 5);
    assert_true(http_is(r.method, "PUT") && http_is(r.host, "x:80") &&
                http_is(r.origin, "http://x:80"));
    assert_true(http_is(r.token, "t") && http_is(r.if_none_match, "\"1\""));
    assert_true(!r.keep_alive && r.expect_continue);
    assert_true(http_form(r.query, "b", value, sizeof value));
    assert_string_equal(value, "c d");
    assert_true(http_form(r.query, "e", value, sizeof value));
    assert_string_equal(value, "f g");
    assert_false(http_form(r.query, "h", value, sizeof value));
    assert_false(http_form(r.query, "b", value, 3)); // too long
    assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &r), 200);
    assert_true(r.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &r), 200);
    assert_false(r.keep_alive);
}

// Every prefix of a good request is "not yet"; changed bytes give some status, and nothing is read outside the text.
static void noise(void **state) {
    (void)state;
    static const char good[] = "PUT /a/%41?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: "
                               "12\r\nConnection: keep-alive\r\n\r\n";
    struct http_request r;
    char text[sizeof good];
    for (size_t n = 0; n + 1 < sizeof good; n++) {
        memcpy(text, good, n);
        text[n] = 0;
        assert_int_equal(parse(text, &r), 0);
    }
    uint32_t seed = 1;
    for (int i = 0; i < 100000; i++) {
        memcpy(text, good, sizeof good);
        for (int k = 0; k < 1 + i % 3; k++) {
            seed = seed * 1103515245 + 12345;
            text[(seed >> 8) % (sizeof good - 1)] = (char)(1 + (seed >> 20) % 255);
        }
        int status = parse(text, &r);
        assert_true(status == 0 || (status >= 200 && status < 600));
        if (status == 200)
            assert_true(r.path[0] == '/' && !strstr(r.path, "/../") && r.head <= strlen(text));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses), cmocka_unit_test(limits), cmocka_unit_test(paths),
        cmocka_unit_test(fields),   cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
