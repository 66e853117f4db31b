/*
 * Preloaded into the server: keeps beside its directory what a disk would hold if the power went at this moment.
 *
 * fsync of a file copies its bytes to <kept>/files/<inode>; fsync of a directory links the names in it to those copies, below
 * <kept>/names/. Nothing else is kept: what was written and not synced is not there, and neither is a name whose directory
 * was not synced. A call is answered only after its part is kept, so whatever the server acknowledges because of it is.
 *
 * In C because a library that is preloaded cannot be written in safe Rust, and only here.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *root, *kept;
/* After so many syncs the power goes; 0: it does not by itself. */
static long syncs_left;
/* An inode that is freed may be used again at once: what is kept of it must be gone before. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what, const char *path) {
  fprintf(stderr, "power/disk.c: cannot %s %s\n", what, path);
  abort();
}

static void join(char *into, const char *format, const char *directory, const char *name) {
  if (snprintf(into, PATH_MAX, format, directory, name) >= PATH_MAX) fail("name", directory);
}

static void file_of(char *into, ino_t inode) {
  char number[32];
  snprintf(number, sizeof number, "%llu", (unsigned long long)inode);
  join(into, "%s/files/%s", kept, number);
}

/* Copies what is in the file; a hole stays one. Bytes that were kept before are only ever overwritten by what replaces them, so
   that a kill in the middle is a sync that was not finished. */
static void keep_file(const char *path, const struct stat *status) {
  static char buffer[1 << 16];
  char copy[PATH_MAX];
  file_of(copy, status->st_ino);
  int from = open(path, O_RDONLY | O_CLOEXEC), to = open(copy, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (from < 0 || to < 0) fail("keep", path);
  off_t at = 0;
  while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
    off_t end = lseek(from, at, SEEK_HOLE);
    while (at < end) {
      size_t wanted = end - at < (off_t)sizeof buffer ? (size_t)(end - at) : sizeof buffer;
      ssize_t length = pread(from, buffer, wanted, at);
      if (length <= 0) break;
      if (pwrite(to, buffer, length, at) != length) fail("write", copy);
      at += length;
    }
    if (at < end) break; /* it was cut meanwhile */
  }
  struct stat now;
  if (fstat(from, &now) || ftruncate(to, now.st_size)) fail("cut", copy);
  close(from);
  close(to);
}

/* <kept>/names/ has a directory for each: its path with % for /, names of files with f: before them, of directories with d:. */
static void names_of(char *into, const char *directory) {
  char flat[PATH_MAX];
  join(flat, "%%%s%s", directory + strlen(root), "");
  for (char *c = flat; *c; c++)
    if (*c == '/') *c = '%';
  join(into, "%s/names/%s", kept, flat);
}

static void keep_names(const char *directory) {
  char names[PATH_MAX], path[PATH_MAX], name[PATH_MAX], copy[PATH_MAX], incomplete[PATH_MAX];
  struct stat status, before;
  names_of(names, directory);
  mkdir(names, 0700);
  join(incomplete, "%s/%s", kept, "incomplete");
  DIR *entries = opendir(directory);
  if (!entries) return; /* removed meanwhile */
  for (struct dirent *entry; (entry = readdir(entries));) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    join(path, "%s/%s", directory, entry->d_name);
    if (lstat(path, &status)) continue;
    if (S_ISDIR(status.st_mode)) {
      join(name, "%s/d:%s", names, entry->d_name);
      int mark = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
      if (mark < 0) fail("keep", name);
      close(mark);
      continue;
    }
    file_of(copy, status.st_ino);
    int file = open(copy, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || fstat(file, &status)) fail("keep", copy);
    close(file);
    join(name, "%s/f:%s", names, entry->d_name);
    if (!lstat(name, &before) && before.st_ino == status.st_ino) continue;
    unlink(incomplete);
    if (link(copy, incomplete) || rename(incomplete, name)) fail("link", name);
  }
  closedir(entries);
  entries = opendir(names);
  for (struct dirent *entry; entries && (entry = readdir(entries));) {
    if (entry->d_name[1] != ':') continue;
    join(path, "%s/%s", directory, entry->d_name + 2);
    join(name, "%s/%s", names, entry->d_name);
    if (lstat(path, &status)) unlink(name);
  }
  if (entries) closedir(entries);
}

/* What is there when the server starts has survived already. */
static void keep_all(const char *directory) {
  char path[PATH_MAX];
  struct stat status;
  DIR *entries = opendir(directory);
  for (struct dirent *entry; entries && (entry = readdir(entries));) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    join(path, "%s/%s", directory, entry->d_name);
    if (lstat(path, &status)) fail("look at", path);
    if (S_ISDIR(status.st_mode)) keep_all(path);
    else keep_file(path, &status);
  }
  if (entries) closedir(entries);
  keep_names(directory);
}

__attribute__((constructor)) static void start(void) {
  root = getenv("POWER_DISK_ROOT");
  kept = getenv("POWER_DISK_KEPT");
  if (!root || !kept) fail("find the variables of", "power/disk.c");
  const char *syncs = getenv("POWER_DISK_SYNCS");
  char path[PATH_MAX];
  mkdir(kept, 0700);
  join(path, "%s/%s", kept, "files");
  mkdir(path, 0700);
  join(path, "%s/%s", kept, "names");
  mkdir(path, 0700);
  keep_all(root);
  if (syncs) syncs_left = atol(syncs);
}

static int is_below_root(const char *path) {
  size_t length = strlen(root);
  return !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

static int synced(int descriptor, int result) {
  char link[64], path[PATH_MAX];
  struct stat status;
  if (result) return result;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return result;
  path[length] = 0;
  if (!is_below_root(path)) return result;
  pthread_mutex_lock(&lock);
  /* Without a name it will not be found again. */
  if (!fstat(descriptor, &status) && status.st_nlink) {
    if (S_ISDIR(status.st_mode)) keep_names(path);
    else keep_file(link, &status);
  }
  if (syncs_left && !--syncs_left) kill(getpid(), SIGKILL);
  pthread_mutex_unlock(&lock);
  return result;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int descriptor) { return synced(descriptor, REAL(fsync)(descriptor)); }

int fdatasync(int descriptor) { return synced(descriptor, REAL(fdatasync)(descriptor)); }

/* Forgets a file's bytes under its inode; names that were kept still lead to them. */
static int freed(int result, const struct stat *status) {
  char copy[PATH_MAX];
  if (!result && status->st_nlink == 1 && !S_ISDIR(status->st_mode)) {
    file_of(copy, status->st_ino);
    REAL(unlink)(copy);
  }
  pthread_mutex_unlock(&lock);
  return result;
}

static void look_at(int directory, const char *path, struct stat *status) {
  pthread_mutex_lock(&lock);
  if (fstatat(directory, path, status, AT_SYMLINK_NOFOLLOW)) memset(status, 0, sizeof *status);
}

/* Calls of this file itself must not wait for the lock that they hold. */
static int is_kept(const char *path) { return !is_below_root(path) && path[0] == '/'; }

int unlink(const char *path) {
  struct stat status;
  if (is_kept(path)) return REAL(unlink)(path);
  look_at(AT_FDCWD, path, &status);
  return freed(REAL(unlink)(path), &status);
}

int unlinkat(int directory, const char *path, int flags) {
  struct stat status;
  if (is_kept(path)) return REAL(unlinkat)(directory, path, flags);
  look_at(directory, path, &status);
  return freed(REAL(unlinkat)(directory, path, flags), &status);
}

/* The names below a directory that got another name. */
static void move_names(const char *from, const char *to) {
  char names[PATH_MAX], before[PATH_MAX], after[PATH_MAX], moved[PATH_MAX];
  names_of(before, from);
  names_of(after, to);
  size_t length = strlen(before);
  join(names, "%s/%s", kept, "names");
  DIR *entries = opendir(names);
  for (struct dirent *entry; entries && (entry = readdir(entries));) {
    char path[PATH_MAX];
    join(path, "%s/%s", names, entry->d_name);
    if (strncmp(path, before, length) || (path[length] && path[length] != '%')) continue;
    join(moved, "%s%s", after, path + length);
    rename(path, moved);
  }
  if (entries) closedir(entries);
}

int rename(const char *from, const char *to) {
  struct stat status, source;
  if (is_kept(to)) return REAL(rename)(from, to);
  look_at(AT_FDCWD, to, &status);
  int result = REAL(rename)(from, to);
  if (!result && !lstat(to, &source) && S_ISDIR(source.st_mode)) move_names(from, to);
  return freed(result, &status);
}
