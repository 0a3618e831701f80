; The templates and the control-flow arithmetic (sfi.h, "Template", "Control"). Conventions as in memory.smt2.

; call_indirect: after and eax, mask the row lies inside the table, whatever rax held
; lemma: call-indirect-rows
(declare-const rax (_ BitVec 64))
(declare-const t (_ BitVec 64))
(define-fun index () (_ BitVec 64) ((_ zero_extend 32) (bvand ((_ extract 31 0) rax) ((_ extract 31 0) (bvsub SFI_TABLE_ROWS #x0000000000000001)))))
(define-fun entries () (_ BitVec 64) (bvsub SFI_TABLE_ENTRIES_0 (bvmul t SFI_TABLE_STRIDE)))
(define-fun sigs () (_ BitVec 64) (bvsub entries #x0000000000800000))
(assert (bvult t SFI_TABLES_MAX))
(assert (or (bvugt (bvadd (bvmul #x0000000000000008 index) #x0000000000000008) #x0000000000800000)
            (bvugt (bvadd (bvmul #x0000000000000004 index) #x0000000000000004) #x0000000000400000)
            ; upwards from −entries and −sigs, below the private page
            (bvult (bvsub entries (bvadd (bvmul #x0000000000000008 index) #x0000000000000008)) SFI_CTX_PRIVATE)
            (bvugt entries SFI_WINDOW_OFFSET)
            (bvult sigs SFI_CTX_PRIVATE)))

; negative: call-indirect-no-mask
(declare-const rax (_ BitVec 64))
(assert (bvugt (bvadd (bvmul #x0000000000000008 ((_ zero_extend 32) ((_ extract 31 0) rax))) #x0000000000000008) #x0000000000800000))

; negative: call-indirect-and-64 (and rax with a sign-extended mask keeps the upper half when the mask is negative)
(declare-const rax (_ BitVec 64))
(declare-const mask (_ BitVec 32))
(assert (bvugt (bvand rax ((_ sign_extend 32) mask)) #x00000000ffffffff))

; tables do not overlap each other
; lemma: tables-apart
(declare-const t (_ BitVec 64))
(declare-const u (_ BitVec 64))
(define-fun lowest ((x (_ BitVec 64))) (_ BitVec 64) (bvsub SFI_TABLE_ENTRIES_0 (bvmul x SFI_TABLE_STRIDE)))
(assert (and (bvult t SFI_TABLES_MAX) (bvult u t)))
(assert (bvugt (lowest t) (bvsub (lowest u) SFI_TABLE_STRIDE)))

; br_table: cmp eax, r11d; cmova eax, r11d leaves an index ≤ n, in both halves, for all rax
; lemma: jump-table-clamp
(declare-const rax (_ BitVec 64))
(declare-const n (_ BitVec 32))
(define-fun eax () (_ BitVec 32) ((_ extract 31 0) rax))
(define-fun clamped () (_ BitVec 64) ((_ zero_extend 32) (ite (bvugt eax n) n eax)))
(assert (bvugt clamped ((_ zero_extend 32) n)))

; negative: jump-table-signed (cmovg instead of cmova)
(declare-const eax (_ BitVec 32))
(declare-const n (_ BitVec 32))
(assert (bvsge n #x00000000))
(assert (bvugt (ite (bvsgt eax n) n eax) n))

; negative: jump-table-off-by-one (count instead of count − 1)
(declare-const eax (_ BitVec 32))
(declare-const count (_ BitVec 32))
(assert (and (bvugt count #x00000000) (bvult count #x01000000)))
(assert (bvuge (ite (bvugt eax count) count eax) count))

; negative: clamp-then-displacement (ESC-008: something is added after the clamp)
(declare-const index (_ BitVec 64))
(declare-const limit (_ BitVec 64))
(declare-const disp (_ BitVec 64))
(assert (bvult limit #x0000000100000000))
(assert (bvult disp #x0000000080000000))
(assert (bvugt (bvadd (ite (bvugt index limit) limit index) disp) limit))

; br_table: table + entry, as the CPU adds them, is the label that the verifier computed
; lemma: jump-table-target
(declare-const block (_ BitVec 64))
(declare-const table (_ BitVec 64))
(declare-const entry (_ BitVec 32))
(define-fun ours () (_ BitVec 64) (bvadd table ((_ sign_extend 32) entry)))
(assert (bvult table SFI_CODE_MAX))
(assert (and (bvsge ours #x0000000000000000) (bvslt ours SFI_CODE_MAX)))
(assert (not (= (bvadd (bvadd block table) ((_ sign_extend 32) entry)) (bvadd block ours))))

; br_table: the table's size does not wrap before it is compared
; lemma: jump-table-size
(declare-const offset (_ BitVec 32))
(declare-const size (_ BitVec 32))
(declare-const count (_ BitVec 32))
(assert (bvule offset size))
(assert (bvule ((_ zero_extend 32) size) SFI_CODE_MAX))
(assert (bvule count (bvudiv (bvsub size offset) #x00000004)))
(assert (bvugt (bvadd ((_ zero_extend 32) offset) (bvmul #x0000000000000004 ((_ zero_extend 32) count))) ((_ zero_extend 32) size)))

; negative: jump-table-size-wraps (offset + 4 · count ≤ size in 32 bits)
(declare-const offset (_ BitVec 32))
(declare-const size (_ BitVec 32))
(declare-const count (_ BitVec 32))
(assert (bvule offset size))
(assert (bvule (bvadd offset (bvmul #x00000004 count)) size))
(assert (bvugt count size))

; direct branches: at + length + rel32 in 64 bits is where the CPU goes
; lemma: branch-target
(declare-const block (_ BitVec 64))
(declare-const at (_ BitVec 64))
(declare-const length (_ BitVec 64))
(declare-const rel (_ BitVec 32))
(define-fun ours () (_ BitVec 64) (bvadd (bvadd at length) ((_ sign_extend 32) rel)))
(assert (and (bvult at SFI_CODE_MAX) (bvule length #x0000000000000006)))
(assert (and (bvsge ours #x0000000000000000) (bvslt ours SFI_CODE_MAX)))
(assert (not (= (bvadd (bvadd (bvadd block at) length) ((_ sign_extend 32) rel)) (bvadd block ours))))

; negative: branch-target-16 (ESC-034: a 66 prefix would cut rip to 16 bits)
(declare-const ours (_ BitVec 64))
(assert (bvult ours SFI_CODE_MAX))
(assert (not (= ours (bvand ours #x000000000000ffff))))

; frame forms: rsp comes back to where it was, for every frame and however often a body ran
; lemma: frame
(declare-const rsp (_ BitVec 64))
(declare-const frame (_ BitVec 32))
(assert (bvule ((_ zero_extend 32) frame) SFI_FRAME_MAX))
(assert (not (= (bvadd (bvsub rsp ((_ sign_extend 32) frame)) ((_ sign_extend 32) frame)) rsp)))

; frame forms: the short immediate is the frame (below 128 it has no sign)
; lemma: frame-short
(declare-const frame (_ BitVec 8))
(assert (bvult frame #x80))
(assert (not (= ((_ sign_extend 56) frame) ((_ zero_extend 56) frame))))

; negative: frame-short-128
(declare-const frame (_ BitVec 8))
(assert (not (= ((_ sign_extend 56) frame) ((_ zero_extend 56) frame))))

; calls: a callee's stack arguments lie inside the caller's frame
; lemma: call-stack
(declare-const rsp (_ BitVec 64)) ; the caller's, frame made
(declare-const frame (_ BitVec 64))
(declare-const words (_ BitVec 64))
(declare-const k (_ BitVec 64)) ; a byte that the callee may read, from its entry rsp
(define-fun entry () (_ BitVec 64) (bvsub rsp #x0000000000000008))
(assert (and (bvugt rsp #x0000000000400000) (bvult rsp #x0000700000000000)))
(assert (and (bvule frame SFI_FRAME_MAX) (bvult words #x0000000000001000)))
(assert (bvuge frame (bvmul #x0000000000000008 words)))
(assert (and (bvuge k #x0000000000000008) (bvult k (bvadd #x0000000000000008 (bvmul #x0000000000000008 words)))))
(assert (or (bvult (bvadd entry k) rsp) (bvuge (bvadd entry k) (bvadd rsp frame))))

; negative: call-stack-unchecked (CALL_STACK)
(declare-const rsp (_ BitVec 64))
(declare-const frame (_ BitVec 64))
(declare-const words (_ BitVec 64))
(assert (and (bvugt rsp #x0000000000400000) (bvult rsp #x0000700000000000) (bvule frame SFI_FRAME_MAX) (bvult words #x0000000000001000)))
(assert (bvugt (bvadd rsp (bvmul #x0000000000000008 words)) (bvadd rsp frame)))

; the proof state: a label's set is implied by each edge, so a clean register at a label has an upper half of zero
; lemma: join
(declare-const edge (_ BitVec 16))
(declare-const declared (_ BitVec 16))
(declare-const really (_ BitVec 16)) ; registers whose upper half is zero when the edge is taken
(assert (= (bvand edge (bvnot really)) #x0000))
(assert (= (bvand declared (bvnot edge)) #x0000))
(assert (not (= (bvand declared (bvnot really)) #x0000)))

; negative: join-unchecked (ESC-058: EDGE_CLEAN)
(declare-const edge (_ BitVec 16))
(declare-const declared (_ BitVec 16))
(declare-const really (_ BitVec 16))
(assert (= (bvand edge (bvnot really)) #x0000))
(assert (not (= (bvand declared (bvnot really)) #x0000)))

; the transfer function: what an instruction leaves clean is really so, if zeroed and dirtied are what it does
; lemma: transfer
(declare-const clean (_ BitVec 16))
(declare-const really (_ BitVec 16))
(declare-const zeroed (_ BitVec 16))
(declare-const dirtied (_ BitVec 16))
(declare-const after (_ BitVec 16))
(assert (= (bvand clean (bvnot really)) #x0000))
; what is written 32 bits wide is zero above; what is dirtied may be anything; the rest keeps what it had
(assert (= (bvand zeroed (bvnot dirtied) (bvnot after)) #x0000))
(assert (= (bvand (bvnot zeroed) (bvnot dirtied) (bvxor after really)) #x0000))
(assert (not (= (bvand (bvor clean zeroed) (bvnot dirtied) (bvnot after)) #x0000)))

; negative: transfer-dirt-forgotten (ESC-031)
(declare-const clean (_ BitVec 16))
(declare-const really (_ BitVec 16))
(declare-const zeroed (_ BitVec 16))
(declare-const dirtied (_ BitVec 16))
(declare-const after (_ BitVec 16))
(assert (= (bvand clean (bvnot really)) #x0000))
(assert (= (bvand zeroed (bvnot dirtied) (bvnot after)) #x0000))
(assert (= (bvand (bvnot zeroed) (bvnot dirtied) (bvxor after really)) #x0000))
(assert (not (= (bvand (bvor clean zeroed) (bvnot after)) #x0000)))
