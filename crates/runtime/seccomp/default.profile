# The built-in seccomp profile: what a container may ask of the kernel.
#
#   allow NAME …            always
#   allow NAME if CONDITION with one argument: `arg0 & MASK == VALUE`, `arg0 == VALUE` or `arg0 != VALUE`;
#                           several are joined by `and`; several lines for one name are alternatives
#   deny NAME …             fails with EPERM: known, and not for containers
#
# What is named nowhere fails with ENOSYS, so that a program falls back as on an older kernel. Names that an
# architecture does not have are left out there.

# Files
allow access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3
allow faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync
allow fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat
allow getcwd getdents getdents64 getxattr getxattrat ioctl lchown lgetxattr link linkat listxattr listxattrat
allow llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at newfstatat
allow open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat
allow readv removexattr removexattrat rename renameat renameat2 rmdir sendfile setxattr setxattrat splice stat
allow statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime
allow utimensat utimes vmsplice write writev cachestat file_getattr file_setattr
allow inotify_add_watch inotify_init inotify_init1 inotify_rm_watch fanotify_mark

# Memory
allow brk madvise membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mprotect mremap mseal
allow msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages
allow map_shadow_stack

# Processes and threads
allow arch_prctl capget capset execve execveat exit exit_group fork getegid geteuid getgid getgroups getpgid
allow getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid
allow get_robust_list get_thread_area kill pidfd_open pidfd_send_signal pidfd_getfd prctl prlimit64 rseq
allow sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min
allow sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
allow sched_setscheduler sched_yield seccomp setfsgid setfsuid setgid setgroups setpgid setpriority setregid
allow setresgid setresuid setreuid setrlimit set_robust_list setsid set_thread_area set_tid_address setuid
allow tgkill tkill times vfork wait4 waitid ioprio_get ioprio_set landlock_add_rule landlock_create_ruleset
allow landlock_restrict_self getcpu process_madvise
allow ptrace process_vm_readv process_vm_writev kcmp chroot

# New namespaces are for who has CAP_SYS_ADMIN; clone3 hides its flags, so it is unknown and programs fall
# back to clone, whose flags can be seen (CLONE_NEW* is 0x7E020000).
allow clone if arg0 & 0x7E020000 == 0

# The execution domain: plain Linux, and the two flags that debuggers set.
allow personality if arg0 == 0x0
allow personality if arg0 == 0x0008
allow personality if arg0 == 0x20000
allow personality if arg0 == 0x20008
allow personality if arg0 == 0xffffffff

# Signals and time
allow alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep pause restart_syscall
allow rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
allow rt_tgsigqueueinfo setitimer sigaltstack signalfd signalfd4 time timer_create timer_delete
allow timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime
allow adjtimex clock_adjtime

# Waiting and passing messages
allow epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
allow eventfd eventfd2 futex futex_requeue futex_wait futex_waitv futex_wake io_cancel io_destroy
allow io_getevents io_pgetevents io_setup io_submit ipc mq_getsetattr mq_notify mq_open mq_timedreceive
allow mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 poll ppoll pselect6 select semctl semget
allow semop semtimedop shmat shmctl shmdt shmget

# The network, but for AF_ALG (38), a door to the kernel's cryptography, and AF_VSOCK (40), a way round the
# network namespace to the machine's hypervisor.
allow accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg
allow sendmmsg sendmsg sendto setsockopt shutdown socketpair
allow socket if arg0 != 38 and arg0 != 40

# The machine
allow sysinfo uname getrandom

deny acct add_key bpf clock_settime create_module delete_module fanotify_init finit_module fsconfig fsmount
deny fsopen fspick get_kernel_syms init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl
deny kexec_file_load kexec_load keyctl lookup_dcookie mount mount_setattr move_mount move_pages migrate_pages
deny mbind get_mempolicy set_mempolicy set_mempolicy_home_node nfsservctl open_by_handle_at open_tree
deny perf_event_open pivot_root quotactl quotactl_fd query_module reboot request_key setdomainname
deny sethostname setns settimeofday swapoff swapon syslog umount2 unshare uselib userfaultfd ustat vhangup
deny modify_ldt statmount listmount open_tree_attr
