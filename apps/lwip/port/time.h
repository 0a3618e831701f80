// time.h — lwIP's SNTP client includes it; nothing of it is used.
