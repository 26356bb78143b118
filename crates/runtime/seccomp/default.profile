# The built-in seccomp profile: what a container may ask of the kernel.
#
#   allow NAME …                  always
#   allow NAME if CONDITION       with an argument: `arg0 & MASK == VALUE`, `arg0 == VALUE` or `arg0 != VALUE`,
#                                 of its lower 32 bits; several are joined by `and`
#   deny NAME …                   fails with EPERM: known, and not for containers
#   with CAP|CAP allow NAME …     for who has one of the capabilities in the bounding set; it may end in
#                                 `if CONDITION`, and in `or ERRNO` for who has none (else EPERM)
#
# Of several lines with a condition for one name the first that holds counts. Where none does, the line without
# a condition counts, or EPERM. What is named nowhere fails with ENOSYS, so that a program falls back as on an
# older kernel. Names that an architecture does not have are left out there.
#
# One list is for all architectures: x86-64 and, on the same machines, 32-bit x86; arm64 and 32-bit ARM.

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
allow chown32 fadvise64_64 arm_fadvise64_64 fchown32 fcntl64 fstat64 fstatat64 fstatfs64 ftruncate64 lchown32 _llseek
allow lstat64 readdir sendfile64 stat64 statfs64 sync_file_range2 arm_sync_file_range truncate64 utimensat_time64
allow inotify_add_watch inotify_init inotify_init1 inotify_rm_watch fanotify_mark

# Memory
allow brk madvise membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mprotect mremap mseal
allow msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages
allow map_shadow_stack mmap2 cacheflush
with CAP_SYS_NICE allow get_mempolicy mbind set_mempolicy set_mempolicy_home_node

# Processes and threads
allow arch_prctl capget capset execve execveat exit exit_group fork getegid geteuid getgid getgroups getpgid
allow getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid
allow get_robust_list get_thread_area kill pidfd_open pidfd_send_signal pidfd_getfd prctl prlimit64 rseq
allow sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min
allow sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
allow sched_setscheduler sched_yield seccomp setfsgid setfsuid setgid setgroups setpgid setpriority setregid
allow setresgid setresuid setreuid setrlimit set_robust_list setsid set_thread_area set_tid_address setuid
allow tgkill tkill times vfork wait4 waitid ioprio_get ioprio_set landlock_add_rule landlock_create_ruleset
allow landlock_restrict_self getcpu uretprobe modify_ldt ptrace process_vm_readv process_vm_writev
allow getegid32 geteuid32 getgid32 getgroups32 getresgid32 getresuid32 getuid32 sched_rr_get_interval_time64
allow setfsgid32 setfsuid32 setgid32 setgroups32 setregid32 setresgid32 setresuid32 setreuid32 setuid32
allow ugetrlimit waitpid breakpoint get_tls set_tls
with CAP_SYS_PTRACE allow kcmp process_madvise
with CAP_SYS_CHROOT allow chroot

# New namespaces are for who has CAP_SYS_ADMIN; clone3 hides its flags, so to others it is unknown and programs
# fall back to clone, whose flags can be seen (CLONE_NEW* is 0x7E020000).
allow clone if arg0 & 0x7E020000 == 0
with CAP_SYS_ADMIN allow clone
with CAP_SYS_ADMIN allow clone3 or ENOSYS
with CAP_SYS_ADMIN allow setns unshare

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
allow adjtimex clock_adjtime clock_adjtime64 clock_getres_time64 clock_gettime64 clock_nanosleep_time64
allow rt_sigtimedwait_time64 sigaction signal sigpending sigprocmask sigreturn sigsuspend timer_gettime64
allow timer_settime64 timerfd_gettime64 timerfd_settime64
with CAP_SYS_TIME allow clock_settime clock_settime64 settimeofday stime

# Waiting and passing messages
allow epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
allow eventfd eventfd2 futex futex_requeue futex_wait futex_waitv futex_wake io_cancel io_destroy
allow io_getevents io_pgetevents io_setup io_submit ipc mq_getsetattr mq_notify mq_open mq_timedreceive
allow mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 poll ppoll pselect6 select semctl semget
allow futex_time64 io_pgetevents_time64 mq_timedreceive_time64 mq_timedsend_time64 _newselect ppoll_time64
allow pselect6_time64 semtimedop_time64
allow semop semtimedop shmat shmctl shmdt shmget

# The network, but for AF_ALG (38), a door to the kernel's cryptography, and AF_VSOCK (40), a way round the
# network namespace to the machine's hypervisor. AF_NETLINK (16) is refused to the kernel's audit (9), which is
# not divided by namespaces, as if there were none.
allow accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg
allow sendmmsg sendmsg sendto setsockopt shutdown socketpair recv recvmmsg_time64 send
with CAP_AUDIT_WRITE allow socket if arg0 == 16 and arg2 == 9 or EINVAL
allow socket if arg0 != 38 and arg0 != 40
# On 32-bit x86 socketcall does the same as all of these, but keeps the family in memory where no filter sees
# it: new sockets (1) are to be made by socket, which is there since Linux 4.3.
allow socketcall if arg0 != 1

# The machine
allow sysinfo uname getrandom
with CAP_BPF|CAP_SYS_ADMIN allow bpf
with CAP_DAC_READ_SEARCH allow open_by_handle_at
with CAP_PERFMON|CAP_SYS_ADMIN allow perf_event_open
with CAP_SYSLOG|CAP_SYS_ADMIN allow syslog
with CAP_SYS_ADMIN allow fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie mount
with CAP_SYS_ADMIN allow mount_setattr move_mount open_tree open_tree_attr pivot_root quotactl quotactl_fd
with CAP_SYS_ADMIN allow setdomainname sethostname statmount umount umount2
with CAP_SYS_BOOT allow reboot
with CAP_SYS_MODULE allow delete_module finit_module init_module query_module
with CAP_SYS_PACCT allow acct
with CAP_SYS_RAWIO allow ioperm iopl
with CAP_SYS_TTY_CONFIG allow vhangup

deny add_key bdflush create_module get_kernel_syms io_uring_enter io_uring_register io_uring_setup
deny kexec_file_load kexec_load keyctl migrate_pages move_pages nfsservctl nice oldfstat oldlstat oldolduname
deny oldstat olduname request_key sgetmask ssetmask swapoff swapon sysfs uselib userfaultfd ustat vm86 vm86old
