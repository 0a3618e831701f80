// json.h — a small reader of JSON (RFC 8259), for what wast2json writes.
//
// The text is read into a tree whose strings are counted, since a module's names may contain any byte, zero included. Nesting is
// limited. Numbers are kept as text: the caller knows what they should be. The tree and its strings live until json_free().
#ifndef SFI_HOST_JSON_H
#define SFI_HOST_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};
struct json {
    enum json_kind kind;
    char *text; // NUMBER, STRING: ended by a zero byte besides
    size_t length;
    char *key; // if it is a member of an object
    struct json *first, *next;
};
// NULL, with the line of the mistake in *out_line (0: out of memory), if the text is not JSON.
struct json *json_parse(const char *text, size_t length, unsigned *out_line);
void json_free(struct json *j);
// The member of that name, or NULL (also if j is NULL or no object).
const struct json *json_get(const struct json *j, const char *key);
// The text of a member that is a string or number, or NULL.
const char *json_text(const struct json *j, const char *key);
#endif
