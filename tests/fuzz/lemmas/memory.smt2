; Memory forms M1 … M4 (sfi.h, "Memory"): where an accepted access ends up, for all 64-bit register values that the proof
; state allows. A lemma asks for a counterexample, so it expects unsat; a line "; negative:" begins one that leaves a check
; out and expects sat, since a lemma that nothing can break says nothing. Constants are sfi.h's, as BV64, by test_lemmas.py.

; M1 [r15 + rX + disp], X clean, scale 1, 0 ≤ disp < 2³¹, width ≤ 16: inside window and back guard
; lemma: m1
(declare-const base (_ BitVec 64))
(declare-const index (_ BitVec 64))
(declare-const disp (_ BitVec 32))
(declare-const width (_ BitVec 64))
(define-fun address () (_ BitVec 64) (bvadd base (bvadd index ((_ sign_extend 32) disp))))
(define-fun slot () (_ BitVec 64) (bvsub base SFI_WINDOW_OFFSET))
; slots are 16 GiB aligned and lie in the low canonical half
(assert (= (bvand slot (bvsub SFI_SLOT_SIZE #x0000000000000001)) #x0000000000000000))
(assert (bvult slot #x0000700000000000))
(assert (bvult index #x0000000100000000))
(assert (bvsge disp #x00000000))
(assert (and (bvuge width #x0000000000000001) (bvule width #x0000000000000010)))
(assert (or (bvult address base) (bvugt (bvadd address width) (bvadd slot SFI_SLOT_SIZE)) (bvult (bvadd address width) address)))

; the same without an index
; lemma: m1-no-index
(declare-const base (_ BitVec 64))
(declare-const disp (_ BitVec 32))
(declare-const width (_ BitVec 64))
(define-fun address () (_ BitVec 64) (bvadd base ((_ sign_extend 32) disp)))
(assert (= (bvand (bvsub base SFI_WINDOW_OFFSET) (bvsub SFI_SLOT_SIZE #x0000000000000001)) #x0000000000000000))
(assert (bvult base #x0000700000000000))
(assert (bvsge disp #x00000000))
(assert (and (bvuge width #x0000000000000001) (bvule width #x0000000000000010)))
(assert (or (bvult address base) (bvugt (bvadd address width) (bvadd base (bvsub SFI_SLOT_SIZE SFI_WINDOW_OFFSET)))))

; the fault of an M1 access names its own slot: address >> SFI_SLOT_SHIFT
; lemma: m1-slot-of-fault
(declare-const base (_ BitVec 64))
(declare-const index (_ BitVec 64))
(declare-const disp (_ BitVec 64))
(declare-const k (_ BitVec 64))
(assert (= (bvand (bvsub base SFI_WINDOW_OFFSET) (bvsub SFI_SLOT_SIZE #x0000000000000001)) #x0000000000000000))
(assert (bvult base #x0000700000000000))
(assert (and (bvult index #x0000000100000000) (bvult disp #x0000000080000000) (bvult k #x0000000000000010)))
(assert (not (= (bvlshr (bvadd base (bvadd index (bvadd disp k))) SFI_SLOT_SHIFT) (bvlshr base SFI_SLOT_SHIFT))))

; negative: m1-scale-8 (MEM_SCALE)
(declare-const base (_ BitVec 64))
(declare-const index (_ BitVec 64))
(assert (bvult base #x0000700000000000))
(assert (bvult index #x0000000100000000))
(assert (bvuge (bvadd base (bvshl index #x0000000000000003)) (bvadd base (bvsub SFI_SLOT_SIZE SFI_WINDOW_OFFSET))))

; negative: m1-dirty (MEM_DIRTY)
(declare-const base (_ BitVec 64))
(declare-const index (_ BitVec 64))
(assert (bvult base #x0000700000000000))
(assert (bvult (bvadd base index) (bvsub base SFI_WINDOW_OFFSET)))

; negative: m1-sign-extended (ESC-001: movsxd is not clean)
(declare-const base (_ BitVec 64))
(declare-const index (_ BitVec 32))
(assert (and (bvult base #x0000700000000000) (bvugt base SFI_WINDOW_OFFSET)))
(assert (bvult (bvadd base ((_ sign_extend 32) index)) base))

; negative: m1-negative-disp (MEM_DISP)
(declare-const base (_ BitVec 64))
(declare-const index (_ BitVec 64))
(declare-const disp (_ BitVec 32))
(assert (and (bvult base #x0000700000000000) (bvugt base SFI_WINDOW_OFFSET) (bvult index #x0000000100000000)))
(assert (bvult (bvadd base (bvadd index ((_ sign_extend 32) disp))) base))

; negative: m1-wide (a width of 4 GiB would not fit the guard: the lemma's bound matters)
(declare-const base (_ BitVec 64))
(declare-const index (_ BitVec 64))
(declare-const disp (_ BitVec 64))
(declare-const width (_ BitVec 64))
(assert (and (bvult base #x0000700000000000) (bvult index #x0000000100000000) (bvult disp #x0000000080000000)))
(assert (bvult width #x0000000200000000))
(assert (bvugt (bvadd base (bvadd index (bvadd disp width))) (bvadd base (bvsub SFI_SLOT_SIZE SFI_WINDOW_OFFSET))))

; negative: m1-64-bit-index (memory64: address + offset wraps, ESC-020)
(declare-const index (_ BitVec 64))
(declare-const offset (_ BitVec 64))
(declare-const limit (_ BitVec 64))
(assert (bvult limit #x0000000100000000))
(assert (bvult offset #x0000000080000000))
(assert (bvult (bvadd index offset) limit))
(assert (bvuge index limit))

; M2 [rsp + disp]. Offsets count from rsp at entry, where the return address lies. Wholly inside the own frame: between the
; new rsp and the return address
; lemma: m2-frame
(declare-const frame (_ BitVec 64))
(declare-const disp (_ BitVec 32))
(declare-const width (_ BitVec 64))
(define-fun d () (_ BitVec 64) ((_ zero_extend 32) disp))
(define-fun offset () (_ BitVec 64) (bvsub ((_ sign_extend 32) disp) frame))
(assert (and (bvule frame SFI_FRAME_MAX) (bvsge disp #x00000000)))
(assert (and (bvuge width #x0000000000000001) (bvule width #x0000000000000010)))
(assert (bvule (bvadd d width) frame))
(assert (or (bvslt offset (bvneg frame)) (bvsgt (bvadd offset width) #x0000000000000000)))

; M2, a load inside the incoming arguments: above the return address, and not beyond the arguments
; lemma: m2-arguments
(declare-const frame (_ BitVec 64))
(declare-const disp (_ BitVec 32))
(declare-const width (_ BitVec 64))
(define-fun d () (_ BitVec 64) ((_ zero_extend 32) disp))
(define-fun offset () (_ BitVec 64) (bvsub ((_ sign_extend 32) disp) frame))
(assert (and (bvule frame SFI_FRAME_MAX) (bvsge disp #x00000000)))
(assert (and (bvuge width #x0000000000000001) (bvule width #x0000000000000010)))
(declare-const bytes (_ BitVec 64)) ; 8 a stack word
(assert (bvult bytes #x0000000000008000))
(assert (bvuge d (bvadd frame #x0000000000000008)))
(assert (bvule (bvadd d width) (bvadd frame (bvadd #x0000000000000008 bytes))))
(assert (or (bvslt offset #x0000000000000008) (bvsgt (bvadd offset width) (bvadd #x0000000000000008 bytes))))

; such offsets do not wrap around a stack's address
; lemma: m2-no-wrap
(declare-const entry (_ BitVec 64))
(declare-const offset (_ BitVec 64))
(assert (and (bvugt entry #x0000000000400000) (bvult entry #x0000700000000000)))
(assert (and (bvsge offset (bvneg SFI_FRAME_MAX)) (bvslt offset #x0000000000010000)))
(assert (not (= (bvslt offset #x0000000000000000) (bvult (bvadd entry offset) entry))))

; negative: m2-no-gap (arguments from F instead of F + 8 reach the return address)
(declare-const entry (_ BitVec 64))
(declare-const frame (_ BitVec 64))
(declare-const disp (_ BitVec 64))
(assert (and (bvugt entry #x0000000000400000) (bvult entry #x0000700000000000) (bvule frame SFI_FRAME_MAX)))
(assert (and (bvuge disp frame) (bvule (bvadd disp #x0000000000000008) (bvadd frame #x0000000000000010))))
(assert (= (bvadd (bvsub entry frame) disp) entry))

; negative: m2-below (a negative displacement lies below rsp)
(declare-const rsp (_ BitVec 64))
(declare-const disp (_ BitVec 32))
(assert (bvugt rsp #x0000000000400000))
(assert (bvult (bvadd rsp ((_ sign_extend 32) disp)) rsp))

; no frame steps over a stack guard: from a mapped rsp, the next one and a call's push stay above the guard's end
; lemma: m2-guard
(declare-const rsp (_ BitVec 64))
(declare-const low (_ BitVec 64))
(declare-const frame (_ BitVec 64))
(assert (and (bvugt low #x0000000001000000) (bvult low #x0000700000000000)))
(assert (and (bvuge rsp low) (bvult rsp #x0000700000000000) (bvule frame SFI_FRAME_MAX)))
(assert (bvult (bvsub (bvsub rsp frame) #x0000000000000008) (bvsub low SFI_STACK_GUARD)))

; negative: m2-guard-frame (frames twice the guard's size would)
(declare-const rsp (_ BitVec 64))
(declare-const low (_ BitVec 64))
(declare-const frame (_ BitVec 64))
(assert (and (bvugt low #x0000000001000000) (bvuge rsp low) (bvult rsp #x0000700000000000)))
(assert (bvule frame (bvmul #x0000000000000002 SFI_STACK_GUARD)))
(assert (bvult (bvsub rsp frame) (bvsub low SFI_STACK_GUARD)))

; M3 [r15 − from], width: globals and results are reached wholly, nothing of the private page or of tables
; lemma: m3
(declare-const from (_ BitVec 64))
(declare-const width (_ BitVec 64))
(declare-const t (_ BitVec 64))
(define-fun to () (_ BitVec 64) (bvsub from width))
(assert (and (bvuge width #x0000000000000001) (bvule width #x0000000000000010)))
(assert (and (bvugt from #x0000000000000000) (bvule from #x0000000080000000) (bvule width from)))
(assert (bvult t SFI_TABLES_MAX))
(assert (or (bvule from SFI_CTX_GLOBALS)
            (and (bvule from SFI_CTX_RESULTS) (bvuge to SFI_CTX_GLOBALS))
            (and (= width #x0000000000000004) (= from SFI_CTX_MEM_PAGES))
            (and (= width #x0000000000000004)
                 (= from (bvsub (bvsub SFI_CTX_WORDS #x0000000000000100) (bvmul #x0000000000000004 t))))))
(assert (or (bvugt from SFI_CTX_WORDS) (bvugt from SFI_CTX_PRIVATE)
            (and (bvugt from SFI_CTX_RESULTS) (not (= width #x0000000000000004)))))

; negative: m3-wide (a 16-byte load of the last table's length would read into the results)
(declare-const from (_ BitVec 64))
(declare-const width (_ BitVec 64))
(assert (and (bvuge width #x0000000000000001) (bvule width #x0000000000000010)))
(assert (= from (bvsub (bvsub SFI_CTX_WORDS #x0000000000000100) (bvmul #x0000000000000004 (bvsub SFI_TABLES_MAX #x0000000000000001)))))
(assert (not (= width #x0000000000000004)))

; negative: m3-across (results and globals without "wholly inside")
(declare-const from (_ BitVec 64))
(declare-const width (_ BitVec 64))
(assert (bvule width #x0000000000000010))
(assert (bvule from SFI_CTX_RESULTS))
(assert (and (bvugt from SFI_CTX_GLOBALS) (bvult (bvsub from width) SFI_CTX_GLOBALS)))

; M4 [rip + disp]: 64-bit arithmetic of block offsets does not wrap, so what the verifier compares is inside the pool
; lemma: m4
(declare-const at (_ BitVec 64))
(declare-const length (_ BitVec 64))
(declare-const disp (_ BitVec 32))
(declare-const pool (_ BitVec 64))
(declare-const size (_ BitVec 64))
(declare-const width (_ BitVec 64))
(define-fun from () (_ BitVec 64) (bvadd at (bvadd length ((_ sign_extend 32) disp))))
(assert (and (bvult at SFI_CODE_MAX) (bvule length #x000000000000000f) (bvule pool SFI_CODE_MAX) (bvule size SFI_CODE_MAX)))
(assert (and (bvuge width #x0000000000000001) (bvule width #x0000000000000010)))
(assert (and (bvsge from pool) (bvsle (bvadd from width) (bvadd pool size))))
(assert (or (bvult from pool) (bvuge from (bvadd pool size)) (bvugt (bvadd from width) (bvadd pool size))))

; M4: the CPU adds the same to the block's address
; lemma: m4-cpu
(declare-const block (_ BitVec 64))
(declare-const at (_ BitVec 64))
(declare-const length (_ BitVec 64))
(declare-const disp (_ BitVec 64))
(assert (not (= (bvadd (bvadd block (bvadd at length)) disp) (bvadd block (bvadd (bvadd at length) disp)))))

; negative: m4-32-bit (the sum taken in 32 bits wraps)
(declare-const at (_ BitVec 32))
(declare-const disp (_ BitVec 32))
(assert (bvult at #x04000000))
(assert (bvsgt disp #x00000000))
(assert (bvslt (bvadd at disp) #x00000000))
