// uuid.h — the part of libuuid that e2fsprogs' journal code uses: journals outside the file system, which mounting refuses before.
#ifndef UUID_H
#define UUID_H
static inline int uuid_is_null(const unsigned char *uuid) {
    for (int i = 0; i < 16; i++)
        if (uuid[i]) return 0;
    return 1;
}
static inline void uuid_unparse(const unsigned char *uuid, char *text) {
    (void)uuid;
    text[0] = 0;
}
#endif
