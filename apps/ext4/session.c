// session.c — see session.h. Sessions are few (one a channel) and kept when they end, for the channel's next client.
#include "apps/ext4/session.h"
#include "apps/ext4/channel.h"
#include "apps/ext4/volume.h"
#include <string.h>

static struct session *sessions[SASOS_CHANNELS_MAX];

struct session *session_of_caller(void) {
    int32_t channel = channel_of_caller();
    if (channel < 0 || channel >= (int32_t)SASOS_CHANNELS_MAX || !sessions[channel] ||
        !sessions[channel]->base)
        return NULL;
    return sessions[channel];
}

void session_end(struct session *s) {
    for (uint32_t i = 0; i < FS_HANDLES_MAX; i++) {
        if (s->handle[i].node) node_put(s->handle[i].node);
        s->handle[i].node = NULL;
    }
    s->base = NULL;
}

struct session *session_begin(void) {
    int32_t channel = channel_of_caller();
    if (channel < 0 || channel >= (int32_t)SASOS_CHANNELS_MAX) return NULL;
    struct session *s = sessions[channel];
    if (!s) s = sessions[channel] = calloc(1, sizeof *s);
    if (!s) return NULL;
    if (s->base) session_end(s);
    s->channel = (uint32_t)channel;
    s->handle[FS_ROOT] =
        (struct handle){.node = node_get(EXT2_ROOT_INO), .flags = FS_READ, .directory = true};
    if (!s->handle[FS_ROOT].node) return NULL;
    s->base = channel_base(s->channel, &s->size);
    return s->base ? s : NULL;
}

bool session_any(void) {
    for (uint32_t i = 0; i < SASOS_CHANNELS_MAX; i++)
        if (sessions[i] && sessions[i]->base) return true;
    return false;
}

bool session_sweep(void) {
    uint32_t dead = channel_dead();
    bool any = false;
    for (uint32_t i = 0; i < SASOS_CHANNELS_MAX; i++)
        if (dead & 1u << i && sessions[i] && sessions[i]->base) {
            session_end(sessions[i]);
            any = true;
        }
    return any;
}

struct handle *session_handle(struct session *s, int32_t number) {
    if (number < 0 || number >= (int32_t)FS_HANDLES_MAX || !s->handle[number].node) return NULL;
    return &s->handle[number];
}

int32_t session_open(struct session *s, ext2_ino_t inode, bool directory, uint32_t flags) {
    for (int32_t i = 0; i < (int32_t)FS_HANDLES_MAX; i++) {
        struct handle *h = &s->handle[i];
        if (h->node) continue;
        h->node = node_get(inode);
        h->flags = flags & (FS_READ | FS_WRITE);
        h->directory = directory;
        return h->node ? i : FS_ENOMEM;
    }
    return FS_EMFILE;
}

uint8_t *session_range(struct session *s, uint32_t at, uint32_t count) {
    return at < FS_DATA || at > s->size || count > s->size - at ? NULL : s->base + at;
}
