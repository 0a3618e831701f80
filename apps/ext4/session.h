// session.h — which client calls, and what it has open.
#ifndef EXT4_SESSION_H
#define EXT4_SESSION_H
#include "apps/ext4/file.h"

struct handle {
    struct node *node; // NULL: free
    uint32_t flags;    // FS_READ, FS_WRITE: may be done through it
    bool directory;
};
struct session {
    uint8_t *base; // the channel; NULL: no session
    uint32_t size;
    uint32_t channel;
    struct handle handle[FS_HANDLES_MAX];
};

// The session of the client that is calling; NULL: it has none.
struct session *session_of_caller(void);
// Begins one for it, ending what its channel had before. NULL: no memory, or the caller has no channel.
struct session *session_begin(void);
void session_end(struct session *s);
bool session_any(void);
// Ends those of clients that have died.
bool session_sweep(void); // whether there were any

struct handle *session_handle(struct session *s, int32_t number); // NULL: not open
int32_t session_open(struct session *s, ext2_ino_t inode, bool directory, uint32_t flags);
// [at, at + count) of the channel, NULL if it is not all there.
uint8_t *session_range(struct session *s, uint32_t at, uint32_t count);
#endif
